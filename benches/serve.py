"""`isn serve` against nginx on loopback: objects of 32 MiB from the page cache, to one client, to four, and
to one while 1,000 slow clients are connected.

nginx has two workers and sendfile; the clients are `curl`. Nothing is pinned: server and clients share two
cores.
"""

import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import arguments
from contest import Contender, Row, alternate, faster, medians, needs, print_head
from server import serve

MIB = 1 << 20
OBJECTS = 4
SLOW = 1000
SLOW_RATE = 16 << 10
"""Bytes a second that a slow client reads."""


def registry(args) -> tuple[Path, list[str]]:
    """A registry with some objects of 32 MiB, and their paths."""
    folder = args.work / "served"
    if not (folder / "registry.json").exists():
        subprocess.run([args.isn, "registry", "init", folder], check=True, stdout=subprocess.DEVNULL)
    paths = sorted(str(path.relative_to(folder)) for path in folder.glob("objects/*/*"))
    while len(paths) < OBJECTS:
        new = args.work / "object"
        with open("/dev/urandom", "rb") as noise:
            new.write_bytes(noise.read(32 * MIB))
        found = subprocess.run(["b3sum", "--no-names", new], check=True, stdout=subprocess.PIPE, text=True)
        name = found.stdout.strip()
        path = folder / "objects" / name[:2] / f"{name}.tar.zst"
        path.parent.mkdir(parents=True, exist_ok=True)
        new.rename(path)
        paths.append(str(path.relative_to(folder)))
    return folder, paths


def client(name: str, url: str, paths: list[str], times: int, clients: int) -> Contender:
    """Fetches all objects with `curl`, `times` times over one connection, in this many processes."""
    fetched = " ".join(f"-o /dev/null {url}/{path}" for path in paths * times)
    script = "pids=\n" + f"curl -sf {fetched} & pids=\"$pids $!\"\n" * clients
    return Contender(name, ["bash", "-ec", script + "for pid in $pids; do wait $pid; done"])


class SlowClients:
    """Connections that each ask for an object and read a little of it every second."""

    def __init__(self, address: tuple[str, int], path: str):
        self.sockets = []
        for _ in range(SLOW):
            one = socket.create_connection(address)
            one.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            one.setblocking(False)
            self.sockets.append(one)
        self.lost = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.take)
        self.thread.start()

    def take(self) -> None:
        while not self.ended.is_set():
            # Spread over the second, like real clients.
            for at, one in enumerate(self.sockets):
                if at % 50 == 0:
                    self.ended.wait(1 / (SLOW / 50))
                try:
                    if not one.recv(SLOW_RATE):
                        self.lost += 1
                except BlockingIOError:
                    pass
                except OSError:
                    self.lost += 1

    def end(self) -> None:
        self.ended.set()
        self.thread.join()
        for one in self.sockets:
            one.close()


def metric(url: str, name: str) -> int:
    text = urllib.request.urlopen(f"{url}/-/metrics").read().decode()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


def main() -> None:
    args = arguments.read(__doc__)
    needs("nginx", "curl", "b3sum")
    folder, paths = registry(args)
    nginx, nginx_url = serve(folder, args.work, workers=2)
    command = [args.isn, "serve", folder, "--listen", "127.0.0.1:0", "--max-per-address", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        contest(args, server, server.stdout.readline().strip(), nginx_url, paths)
    finally:
        for process in (nginx, server):
            process.terminate()
            process.wait()


def contest(args, server: subprocess.Popen, url: str, nginx_url: str, paths: list[str]) -> None:
    print_head()
    for clients, times in ((1, 8), (4, 3)):
        isn = client("isn", url, paths, times, clients)
        nginx = client("nginx", nginx_url, paths, times, clients)
        alternate([isn, nginx], args.rounds)
        noun = "one client" if clients == 1 else f"{clients} clients"
        print(faster(f"serve to {noun}, rate against nginx", isn, nginx, 0.85).text(), flush=True)

    host, port = url.removeprefix("http://").split(":")
    alone, beside = client("alone", url, paths, 8, 1), client("beside slow clients", url, paths, 8, 1)
    alone.run()
    alone.wall.clear()
    for _ in range(args.rounds):
        alone.run()
        slow = SlowClients((host, int(port)), paths[0])
        # Until all have received what the kernel buffers at once.
        time.sleep(3)
        beside.run()
        held = metric(url, "isn_connections") - 1
        slow.end()
        if held < SLOW or slow.lost:
            sys.exit(f"{held} of {SLOW} slow clients are held, {slow.lost} lost")
    figure = statistics.median(beside.wall) / statistics.median(alone.wall)
    what = f"serve to one client, time beside {SLOW} slow ones against alone"
    print(Row(what, figure, 1.20, at_least=False, note=medians(beside, alone)).text(), flush=True)
    status = Path(f"/proc/{server.pid}/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(Row("serve, peak memory", peak / 1e6, 100, at_least=False, unit="MB").text(), flush=True)


main()
