"""What isn needs when a version has many images: processor time, peak memory and bytes transferred.

Makes a dataset of N tiny images (32 × 32 pixels of noise, 1,000 classes) in versions 1.0 and 1.1, of which
1.1 has another picture in place of every hundredth, spread over all classes. Each isn builds and publishes
both to a registry of its own, which nginx serves on loopback. Then every row is measured with `--before` (if
given) and `--isn` in turn.

A cell has the processor time of all threads, peak memory as /usr/bin/time -v counts it (MB of a million
bytes), what nginx sent, and in brackets the time by the clock, which says little where other programs share
the cores. "Cold" is a new home with an empty cache. A row with an aim is `met` or `missed` at the number of
images that the aim is for. `build` and `publish` are of the making of the registry: it is made anew if the
program has changed, unless `--keep`, which measures a changed program on the registry that is there.

Needs numpy, Pillow, nginx and GNU time. `--python` names an interpreter that has the package isn (and
`--before-python` one that has the other) for the row `load`. A million images take some 4 GB for the sources,
4 GB for each registry, and for a while up to 12 GB for trees and the cache of each program, which are removed
at the end. Row `pull` counts what the file system takes to create files, too: see `Side.new`.

    python benches/scale.py WORK --images 10000 --before OLD/isn
    python benches/scale.py WORK --images 1000000 --rows info,class
"""

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import photographs
from contest import needs, removed
from server import serve

ROOT = Path(__file__).resolve().parent.parent
CLASSES, SIDE, MILLION = 1000, 32, 1_000_000

IMPORT = """
import json, time
def peak():
    # Not getrusage: that starts with the peak of the parent process.
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
begin = time.perf_counter()
import isn, numpy
imported = time.perf_counter() - begin
"""
LOAD = """
begin, cpu = time.perf_counter(), time.process_time()
dataset = isn.load("scale@1.0", quiet=True)
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
print(json.dumps([wall, cpu, imported, peak()]))
"""

# The images.


def place(n: int) -> str:
    """The path of an image in a source; of ten of a class, one is val."""
    return f"{'val' if n // CLASSES % 10 == 9 else 'train'}/c{n % CLASSES:04}/{n:07}.png"


def changed(n: int) -> bool:
    """Whether 1.1 has another picture: every hundredth of each class, another one in the next class."""
    return n // CLASSES % 100 == n % 100


def png(pixels) -> bytes:
    """A PNG that is not compressed, which is the quickest to make."""
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")]
    number = struct.Struct(">I").pack
    parts = (number(len(of)) + kind + of + number(zlib.crc32(kind + of)) for kind, of in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def draw(old: Path, new: Path, thousand: int) -> None:
    """The images of that thousand, one of each class, for both sources. What is equal is linked."""
    import numpy as np

    for version, source in enumerate((old, new)):
        # Six bits of noise on a level of the image's own: no two are alike, and each is sent as some 3 kB.
        chance = np.random.default_rng([version, thousand])
        pixels = chance.integers(0, 64, (CLASSES, SIDE, SIDE, 3), dtype=np.uint8)
        pixels += chance.integers(0, 192, (CLASSES, 1, 1, 3), dtype=np.uint8)
        for at in range(CLASSES):
            path = place(thousand * CLASSES + at)
            if version == 0 or changed(thousand * CLASSES + at):
                (source / path).write_bytes(png(pixels[at]))
            else:
                (source / path).hardlink_to(old / path)


def sources(folder: Path, images: int) -> None:
    """Makes `folder`, which has a source for each version, if it does not exist."""
    if folder.exists():
        return
    making = folder.with_name(f"{folder.name}.making")
    removed(making)()
    for version in ("1.0", "1.1"):
        for n in range(10 * CLASSES):
            (making / version / place(n)).parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool() as pool:
        jobs = [(making / "1.0", making / "1.1", thousand) for thousand in range(images // CLASSES)]
        pool.starmap(draw, jobs, chunksize=1)
    making.rename(folder)


def recipe(version: str) -> str:
    """1.1 follows 1.0, so that an image that both have keeps its split."""
    head = photographs.recipe("scale", '"png"').split("\n[[class]]")[0]
    head = head.replace("size = 160", f"size = {SIDE}").replace('version = "1.0"', f'version = "{version}"')
    previous = 'previous = "1.0"\n' if version != "1.0" else ""
    split = f'policy = "pool"\nval = 0.1\nsalt = "scale"\n{previous}'
    head = head.replace("isn-recipe/1", "isn-recipe/2").replace('policy = "keep"\n', split)
    classes = (f'\n[[class]]\nid = "c{n:04}"\nlabel = "class {n}"\n' for n in range(CLASSES))
    return head + '\n[gates]\nleakage = "allow"\nval_min = 0\n' + "".join(classes)


# The programs.

PULL = ("pull", "scale@1.0", "--to", "tree")
DIFF = ("diff", "scale@1.0", "scale@1.1")


@dataclasses.dataclass
class Run:
    cpu: float
    """Seconds of user and system time."""
    peak: int
    wall: float
    sent: int = 0
    """The bytes of the bodies that nginx sent."""
    requests: int = 0
    note: str = ""
    allowed: int | None = None
    """The most bytes that should be sent, where that depends on the images."""


class Side:
    """One isn, with a registry that it made, and the machines of users: folders with a home and trees."""

    def __init__(self, args, name: str, isn: Path, python: Path | None) -> None:
        self.images, self.isn, self.python, self.url = args.images, isn.resolve(), python, ""
        self.source, self.log = args.work / "source", args.work / "sent"
        self.name, self.folder, self.old = name, args.work / name, 0
        self.registry, self.tree = self.folder / "registry", self.folder / "user/tree"
        self.made = self.folder / "made.json"
        self.hash = hashlib.sha256(self.isn.read_bytes()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clean()

    def env(self, machine: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ISN_", "XDG_"))}
        home = str(self.folder / machine / "home")
        ours = dict.fromkeys(("ISN_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), home)
        return {**kept, **ours, "ISN_REGISTRY": self.url}

    def run(self, *command, machine: str = "user") -> Run:
        # A child of this program would begin with the peak of this one; a child of `time` does not.
        report = self.folder / "time"
        command = ["/usr/bin/time", "-f", "%M", "-o", report, self.isn, *command, "--quiet"]
        self.log.write_bytes(b"")
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=self.folder / machine, env=self.env(machine), **pipes)
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command}: exit code {process.returncode}\n{complaint.decode(errors='replace')}")
        # nginx writes its log line when it is done, which may be after the client ends.
        time.sleep(0.2)
        sent = [int(line.split(" ", 2)[1]) for line in self.log.read_text().splitlines()]
        peak = int(report.read_text()) * 1024
        return Run(usage.ru_utime + usage.ru_stime, peak, wall, sum(sent), len(sent))

    def make(self, keep: bool) -> None:
        """Builds and publishes both versions, once for each program. The builds are not kept."""
        if self.made.exists() and (keep or json.loads(self.made.read_text())["isn"] == self.hash):
            return
        removed(self.made, self.registry)()
        sources(self.source, self.images)
        machine = self.new("owner")
        self.url = str(self.registry)
        self.run("key", "new", "bench", "--no-passphrase", **machine)
        found: dict[str, object] = {"isn": self.hash}
        for version in ("1.0", "1.1"):
            (self.folder / "recipe.toml").write_text(recipe(version))
            source = ("--source", self.source / version)
            build = self.run("build", "../recipe.toml", *source, "--out", "build", "-j2", **machine)
            publish = self.run("publish", "build", "--registry", self.registry, "--key", "bench", **machine)
            found.setdefault("build", dataclasses.asdict(build))
            found.setdefault("publish", dataclasses.asdict(publish))
            removed(self.folder / "owner/build")()
            # A build of 1.1 reads which split each image of 1.0 is in.
            self.run("trust", "add", self.registry, self.vkey(), **machine)
            print(f"{self.name}: built and published {version}", file=sys.stderr, flush=True)
        self.made.write_text(json.dumps(found))

    def when_made(self, what: str) -> Run:
        return Run(**json.loads(self.made.read_text())[what])

    def new(self, machine: str) -> dict[str, str]:
        """A new machine in place of the old one, whose trees are only moved away: on ext4 without a journal,
        files take up to 20 times as long to create for minutes after many were removed."""
        folder = self.folder / machine
        removed(folder / "home")()
        if folder.exists():
            self.old += 1
            folder.rename(self.folder / f"old-{self.old}")
        folder.mkdir()
        return {"machine": machine}

    def vkey(self) -> str:
        """The key of the registry's log."""
        return json.loads((self.registry / "registry.json").read_text())["log_key"]

    def cold(self, *command, machine: str = "visitor") -> Run:
        """Runs isn on a new machine, which only trusts the registry's log."""
        self.new(machine)
        self.run("trust", "add", self.url, self.vkey(), machine=machine)
        return self.run(*command, machine=machine)

    def again(self, *command) -> Run:
        self.cold(*command)
        return self.run(*command, machine="visitor")

    def pull(self) -> Run:
        return self.cold(*PULL, machine="user")

    def pulled(self, *command) -> Run:
        """Runs isn where 1.0 has been pulled."""
        if not self.tree.exists():
            self.pull()
        return self.run(*command)

    def one_class(self) -> Run:
        run = self.cold("pull", "scale@1.0", "--class", "c0500", "--to", "class")
        size = sum(path.stat().st_size for path in self.folder.glob("visitor/class/*/c0500/*.png"))
        return dataclasses.replace(run, note=f"; images {megabytes(size)}", allowed=2 * size + 300_000)

    def update(self) -> Run:
        run = self.pulled("pull", "scale@1.1", "--to", "tree")
        new = [place(n).partition("/")[2] for n in range(self.images) if changed(n)]
        paths = (self.tree / split / path for path in new for split in ("train", "val"))
        size = sum(path.stat().st_size for path in paths if path.exists())
        self.new("user")
        allowed = round(1.3 * size) + 500_000
        return dataclasses.replace(run, note=f"; new images {megabytes(size)}", allowed=allowed)

    def load(self) -> Run | None:
        """The time is of the call alone, the memory what the process had more than one that only imports."""
        if self.python is None:
            return None
        if not self.tree.exists():
            self.pull()

        def run(code: str):
            command = [self.python, "-c", IMPORT + code]
            done = subprocess.run(command, check=True, env=self.env("user"), stdout=subprocess.PIPE)
            return json.loads(done.stdout.splitlines()[-1])

        run(LOAD)
        (wall, cpu, imported, peak), bare = run(LOAD), run("print(peak())")
        note = f"; imports {1e3 * imported:.0f} ms; in all {megabytes(peak)}, only imports {megabytes(bare)}"
        return Run(cpu, peak - bare, wall, note=note)

    def export(self) -> Run:
        """From the cache."""
        self.cold("fetch", "scale@1.0")
        run = self.run("export", "scale@1.0", "--as", "webdataset", "--to", "export", machine="visitor")
        removed(self.folder / "visitor/export")()
        return run

    def clean(self) -> None:
        """Removes the machines."""
        removed(*(self.folder / name for name in ("owner", "user", "visitor")), *self.folder.glob("old-*"))()


# The rows and their aims.


@dataclasses.dataclass
class Row:
    what: str
    run: Callable[[Side], Run | None]
    cpu: float | None = None
    """The aims: at most so many seconds of processor time, MB of memory and bytes sent."""
    memory: int | None = None
    sent: int | None = None
    aim: str = ""
    """The aim in words, where it depends on the images."""
    at: int = MILLION
    """The number of images that the aims are for."""

    def wanted(self) -> str:
        parts = [f"{self.cpu:g} s" if self.cpu else "", f"{self.memory} MB" if self.memory else ""]
        parts += [f"{self.sent / 1000:g} kB" if self.sent else "", self.aim]
        return ", ".join(part for part in parts if part) + ("" if self.at == MILLION else f", at {self.at:,}")

    def verdict(self, run: Run, images: int) -> str:
        figures = {"time": run.cpu, "memory": run.peak / 1e6, "bytes": run.sent}
        aims = (self.cpu, self.memory, self.sent if run.allowed is None else run.allowed)
        over = [
            what for what, aim in zip(figures, aims, strict=True) if aim is not None and figures[what] > aim
        ]
        if images != self.at or not self.wanted():
            return ""
        return f"missed: {', '.join(over)}" if over else "met"


ROWS = {
    "info": Row("info, cold over HTTP", lambda s: s.cold("info", "scale@1.0"), 0.02, 20, 100_000),
    "info-again": Row("info again", lambda s: s.again("info", "scale@1.0"), 0.02, 20),
    "build": Row("build -j2", lambda s: s.when_made("build"), memory=200),
    "publish": Row("publish", lambda s: s.when_made("publish"), memory=200),
    "fetch": Row("fetch, cold over HTTP", lambda s: s.cold("fetch", "scale@1.0"), memory=250),
    "diff": Row("diff, 1% changed, cold over HTTP", lambda s: s.cold(*DIFF)),
    "diff-again": Row("diff, 1% changed, again", lambda s: s.again(*DIFF), 3, 300),
    "class": Row("one class of 1,000, cold", Side.one_class, 0.5, aim="2x the images + 300 kB"),
    "export": Row("export webdataset", Side.export, memory=200),
    "pull": Row("pull, cold over HTTP", Side.pull, memory=250),
    "again": Row("pull again, nothing to do", lambda s: s.pulled(*PULL), 6, 250),
    "verify": Row("verify", lambda s: s.pulled("verify", "tree"), 12, 250),
    "load": Row("isn.load, second time", Side.load, 0.02, 30),
    "update": Row("1.1 over 1.0, 1% changed", Side.update, aim="1.3x the new images + 0.5 MB", at=100_000),
}


def megabytes(size: float) -> str:
    return f"{size / 1e6:.{1 if size >= 1e6 else 3}f} MB"


def cell(run: Run | None) -> str:
    if run is None:
        return "skipped: no interpreter"
    sent = f", {megabytes(run.sent)} in {run.requests} requests" if run.requests else ""
    cpu = f"{run.cpu:.{3 if run.cpu < 1 else 1}f} s"
    return f"{cpu}, {megabytes(run.peak)}{sent} ({run.wall:.2f} s{run.note})"


def middle(runs: list[Run | None]) -> Run | None:
    """The median times, and the highest of the rest."""
    if None in runs:
        return None
    highest = {part: max(getattr(run, part) for run in runs) for part in ("peak", "sent", "requests")}
    times = {part: statistics.median(getattr(run, part) for run in runs) for part in ("cpu", "wall")}
    return dataclasses.replace(runs[-1], **highest, **times)


def table(args, sides: list[Side]) -> None:
    for side in sides:
        print(f"{side.name}: {side.isn}, SHA-256 {side.hash}")
    print(f"{args.images:,} images, rounds: {args.rounds}, load {os.getloadavg()[0]:.1f} at the start\n")
    names = " | ".join(side.name for side in sides)
    print(f"| what | {names} | aim at 1,000,000 | |\n|---|{'---|' * (len(sides) + 2)}", flush=True)
    for row in (ROWS[name] for name in args.rows):
        runs: dict[str, list[Run | None]] = {side.name: [] for side in sides}
        for turn in range(args.rounds):
            # Every other round is reversed, so that no program always follows the same one.
            for side in sides[:: 1 if turn % 2 == 0 else -1]:
                runs[side.name].append(row.run(side))
        found = [middle(of) for of in runs.values()]
        verdict = row.verdict(found[-1], args.images) if found[-1] else ""
        print(f"| {row.what} | {' | '.join(map(cell, found))} | {row.wanted()} | {verdict} |", flush=True)


def read() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("work", type=Path, help="folder for what is made")
    parser.add_argument("--images", type=int, default=10_000, help="a multiple of 10,000 [default: 10,000]")
    parser.add_argument("--isn", type=Path, default=ROOT / "target/release/isn", help="the program")
    parser.add_argument("--before", type=Path, help="another isn, to compare it with")
    parser.add_argument("--rows", default=",".join(ROWS), help="[default: %(default)s]")
    parser.add_argument("--rounds", type=int, help="[default: 3; 1 for a million images]")
    parser.add_argument("--keep", action="store_true", help="keep the registry if the program has changed")
    parser.add_argument("--python", type=Path, help="an interpreter that has the package isn")
    parser.add_argument("--before-python", type=Path, help="one that has the other package isn")
    args = parser.parse_args()
    args.rows = args.rows.split(",")
    if unknown := set(args.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if args.images < 1 or args.images % (10 * CLASSES):
        parser.error("--images: a multiple of 10,000")
    args.work = args.work.resolve() / f"images-{args.images}"
    args.rounds = args.rounds or (3 if args.images < MILLION else 1)
    return args


def main() -> None:
    args = read()
    needs("nginx", "/usr/bin/time")
    args.work.mkdir(parents=True, exist_ok=True)
    sides = [Side(args, "before", args.before, args.before_python)] if args.before else []
    sides.append(Side(args, "isn", args.isn, args.python))
    for side in sides:
        side.make(args.keep)
    server, url = serve(args.work, args.work, args.work / "sent")
    try:
        for side in sides:
            side.url = f"{url}/{side.name}/registry"
        table(args, sides)
    finally:
        server.terminate()
        server.wait()
        for side in sides:
            side.clean()


if __name__ == "__main__":
    main()
