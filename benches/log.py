"""Pulls from a registry whose log has 10,000 entries (or `--count`): the first pull with `--whole-log` reads and
verifies all of them, the next ones only what is new. nginx counts the bytes; so does `isn pull --json`, and both
must agree, but for a hint that nobody reads. Then first contact with one name, by `isn info`: by the index of names, and with `--whole-log`. Then
`isn log show`, on a machine that has not seen the log and again: processor time and peak memory.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import arguments
from contest import ONE_CORE, Row, needs, print_head, removed
from server import serve

ENTRIES = 10_000
OF_LOG = ("/log/", "/names/")
# What `isn` asks for before it knows whether it needs it, and then does not read, it does not count: bytes.
EARLY = 100
WRITE_LOG = arguments.ROOT / "target/debug/examples/write-log"


def entries(args) -> int:
    return args.count or ENTRIES


def isn(args, *command) -> str:
    command = [str(part) for part in (args.isn, *command)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def publish(args, registry: Path, version: str) -> None:
    """Publishes demobirds under a version number."""
    source, out = args.work / "demo-source", args.work / f"demobirds-{version}-out"
    removed(out)()
    if not source.exists():
        isn(args, "demo", "source", source, "--quiet")
    folder = args.work / "demo-recipe"
    shutil.copytree(arguments.ROOT / "registry/recipes/demobirds", folder, dirs_exist_ok=True)
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('version = "1.0"', f'version = "{version}"'))
    isn(args, "build", recipe, "--source", source, "--out", out, "--quiet")
    isn(args, "publish", out, "--registry", registry, "--key", "bench", "--quiet")


def make(args) -> Path:
    """A registry with a log of that many entries, of which the last is a release that can be pulled."""
    registry, home, before = (args.work / name for name in ("log-registry", "log-home", "log-checkpoints"))
    removed(registry, home, before)()
    os.environ["ISN_HOME"] = str(home)
    # Publishing adds two: the claim of the name, and the release.
    subprocess.run([WRITE_LOG, registry, home / "logs", str(entries(args) - 2), before], check=True)
    isn(args, "key", "new", "bench", "--no-passphrase")
    publish(args, registry, "1.0")
    return registry


class Client:
    """A user who pulls, and what the server sent them."""

    def __init__(self, args, url: str, log: Path) -> None:
        self.args, self.url, self.log = args, url, log
        self.home, self.tree = args.work / "log-client", args.work / "log-tree"
        self.env = {**os.environ, "ISN_HOME": str(self.home)}

    def run(self, *command) -> str:
        command = [*ONE_CORE, *(str(part) for part in (self.args.isn, *command))]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=self.env).stdout

    def begin(self, vkey: str) -> None:
        """Starts with an empty home, as on a new machine."""
        removed(self.home)()
        self.run("trust", "add", self.url, vkey)

    def pull(self, version: str, anew: bool = True) -> tuple[float, int, int]:
        """Milliseconds of CPU, bytes of the log, other bytes. Keeps the previous tree unless `anew`."""
        if anew:
            removed(self.tree)()
        self.log.write_bytes(b"")
        before = cpu()
        printed = self.run(
            *("pull", f"demobirds@{version}", "--registry", self.url, "--to", self.tree, "--quiet", "--json"),
            "--whole-log",
        )
        spent = cpu() - before
        fetched = json.loads(printed.splitlines()[-1])["fetched_bytes"]
        # nginx writes its log line when it is done, which may be after the client ends.
        for _ in range(100):
            of_log, other = self.sent()
            if 0 <= of_log + other - fetched <= EARLY:
                return spent * 1e3, of_log, other
            time.sleep(0.01)
        sys.exit(f"isn says that it fetched {fetched} bytes, nginx that it sent {of_log} and {other}")

    def show(self) -> tuple[float, int]:
        """Milliseconds of CPU and the peak memory of `isn log show`."""
        return self.timed("log", "show")

    def meet(self, *more) -> tuple[float, int, int, int]:
        """First contact with one name: milliseconds of CPU, peak memory, bytes and requests of log and index."""
        self.log.write_bytes(b"")
        spent, peak = self.timed("info", "demobirds@1.0", *more)
        # nginx writes its log lines when it is done, which may be after the client ends.
        time.sleep(0.2)
        of_log = [line for line in self.log.read_text().splitlines() if line.split(" ", 2)[2].startswith(OF_LOG)]
        return spent, peak, sum(int(line.split(" ")[1]) for line in of_log), len(of_log)

    def timed(self, *command) -> tuple[float, int]:
        # A child of this program would begin with the peak of this one; a child of `time` does not.
        report = self.home / "time"
        time_it = ["/usr/bin/time", "-f", "%U %S %M", "-o", report]
        command = [*ONE_CORE, *time_it, self.args.isn, *command, "--registry", self.url]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=self.env)
        user, system, peak = report.read_text().split()
        return 1e3 * (float(user) + float(system)), int(peak) * 1024

    def sent(self) -> tuple[int, int]:
        of_log = other = 0
        for line in self.log.read_text().splitlines():
            status, length, path = line.split(" ", 2)
            if status not in ("200", "206"):
                continue
            if path.startswith(OF_LOG):
                of_log += int(length)
            else:
                other += int(length)
        return of_log, other


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def at_most(what: str, figure: float, target: float, unit: str, note: str) -> None:
    print(Row(what, figure, target, at_least=False, unit=unit, note=note).text(), flush=True)


def main() -> None:
    args = arguments.read(__doc__)
    needs("taskset", "nginx", "/usr/bin/time")
    if not WRITE_LOG.exists():
        sys.exit("cargo build --example write-log makes what writes the log")
    registry = make(args)
    vkey = json.loads((registry / "registry.json").read_text())["log_key"]
    log = args.work / "log-sent"
    server, url = serve(registry, args.work, log)
    try:
        client = Client(args, url, log)
        print_head()
        times = []
        for _ in range(args.rounds):
            client.begin(vkey)
            spent, of_log, other = client.pull("1.0")
            times.append(spent)
        what = f"first pull, log of {entries(args):,} entries"
        note = f"the log {of_log / 1e3:.0f} kB, the version {other / 1e3:.0f} kB"
        # The targets are for 10,000 entries.
        times_as_long = entries(args) / ENTRIES
        at_most(f"{what}, transfer", (of_log + other) / 1e3, 8000 * times_as_long, "kB", note)
        note = "one core, images included"
        at_most(f"{what}, CPU", statistics.median(times), 2000 * times_as_long, "ms", note)
        spent, of_log, other = client.pull("1.0", anew=False)
        note = f"tree still there; the log {of_log} B; CPU {spent:.0f} ms"
        at_most("next pull, transfer in all", of_log + other, 10_000, "B", note)
        spent, of_log, other = client.pull("1.0")
        note = f"tree removed, images from the cache; the log {of_log} B; CPU {spent:.0f} ms"
        at_most("next pull, transfer in all", of_log + other, 10_000, "B", note)
        publish(args, registry, "1.1")
        spent, of_log, other = client.pull("1.1")
        note = f"the version {other / 1e3:.0f} kB; CPU {spent:.0f} ms"
        at_most("next pull, of a new release, transfer of the log", of_log, 10_000, "B", note)
        for what, more in (("by the index", ()), ("whole log", ("--whole-log",))):
            client.begin(vkey)
            spent, peak, sent, requests = client.meet(*more)
            what, note = f"first contact with one name, {what}", f"{requests} requests; {peak / 1e6:.0f} MB of memory"
            # The index takes what concerns the name, however long the log is.
            at_most(f"{what}, transfer", sent / 1e3, 8000 * times_as_long if more else 100, "kB", note)
            at_most(f"{what}, CPU", spent, 2000 * times_as_long if more else 100, "ms", "one core")
        client.begin(vkey)
        for what in ("first", "again"):
            spent, peak = client.show()
            # The targets are for 100,000 entries.
            at_most(f"log show, {what}, CPU", spent, max(500, entries(args) / 20), "ms", "one core")
            at_most(f"log show, {what}, peak memory", peak / 1e6, 60, "MB", "")
    finally:
        server.terminate()
        server.wait()


main()
