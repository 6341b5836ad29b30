"""Contests: several programs do the same job in turn, and the medians of their times are compared.

Times vary between machines and hours; ratios of times taken in turn in one run vary little. So nothing here
is compared with a stored figure.
"""

import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ONE_CORE = ["taskset", "-c", "0"]
TWO_CORES = ["taskset", "-c", "0,1"]


@dataclasses.dataclass
class Contender:
    """A command, and what to do before each run of it (not timed)."""

    name: str
    command: list[str]
    prepare: Callable[[], None] = lambda: None
    cwd: Path | None = None
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    wall: list[float] = dataclasses.field(default_factory=list)
    """Seconds, one value per round."""
    cpu: list[float] = dataclasses.field(default_factory=list)
    """Seconds of processor time with all children, one value per round."""
    peak: int = 0
    """The peak memory of the largest of its processes, in bytes."""

    def run(self) -> None:
        self.prepare()
        before = time.perf_counter()
        process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{self.name}: exit code {process.returncode}\n{complaint.decode(errors='replace')}")
        self.wall.append(time.perf_counter() - before)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak = max(self.peak, usage.ru_maxrss * 1024)


@dataclasses.dataclass
class Row:
    """A row of the table: a figure, its target, and how it was measured."""

    what: str
    figure: float
    target: float
    at_least: bool
    unit: str = "x"
    cpu: float | None = None
    """The same ratio of processor times, if the figure is a ratio of one-core times."""
    note: str = ""

    def text(self) -> str:
        ok = self.figure >= self.target if self.at_least else self.figure <= self.target
        sign = ">=" if self.at_least else "<="
        figure, target = (
            (f"{v:.2f}x" if self.unit == "x" else f"{v:.0f} {self.unit}") for v in (self.figure, self.target)
        )
        cpu = "" if self.cpu is None else f"{self.cpu:.2f}x"
        verdict = "pass" if ok else "MISS"
        return f"| {self.what} | {figure} | {sign} {target} | {verdict} | {cpu} | {self.note} |"


def print_head() -> None:
    """Prints the load, too: other programs on the cores favour a contender with more processes."""
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start\n")
    print(
        "| what | figure | target | | by CPU time | medians (CPU in brackets) |\n|---|---|---|---|---|---|",
        flush=True,
    )


def alternate(contenders: list[Contender], rounds: int) -> None:
    """Runs each once to warm the caches, which does not count, and then all in turn, `rounds` times."""
    for contender in contenders:
        contender.run()
        contender.wall.clear()
        contender.cpu.clear()
    for turn in range(rounds):
        # Every other round is reversed, so that no contender always follows the same one.
        for contender in contenders[:: 1 if turn % 2 == 0 else -1]:
            contender.run()


def faster(what: str, ours: Contender, theirs: Contender, target: float) -> Row:
    """Our rate as a multiple of the rate of `theirs`."""
    wall, cpu = ratios(theirs, ours)
    return Row(what, wall, target, at_least=True, cpu=cpu, note=medians(ours, theirs))


def share(what: str, ours: Contender, theirs: Contender, target: float) -> Row:
    """Our time as a fraction of the time of `theirs`."""
    wall, cpu = ratios(ours, theirs)
    return Row(what, wall, target, at_least=False, cpu=cpu, note=medians(ours, theirs))


def ratios(one: Contender, other: Contender) -> tuple[float, float | None]:
    """The ratio of the times, and of the processor times if both had one core."""
    wall = statistics.median(one.wall) / statistics.median(other.wall)
    pinned = all(contender.command[: len(ONE_CORE)] == ONE_CORE for contender in (one, other))
    return wall, statistics.median(one.cpu) / statistics.median(other.cpu) if pinned else None


def memory(what: str, ours: Contender, target: int) -> Row:
    """Peak memory, in MB of a million bytes."""
    return Row(what, ours.peak / 1e6, target / 1e6, at_least=False, unit="MB")


def medians(*contenders: Contender) -> str:
    return ", ".join(
        f"{c.name} {statistics.median(c.wall):.2f} s ({statistics.median(c.cpu):.2f})" for c in contenders
    )


def emptied(*folders: Path) -> Callable[[], None]:
    """A preparation: makes `folders` exist and be empty."""

    def prepare() -> None:
        removed(*folders)()
        for folder in folders:
            folder.mkdir(parents=True)

    return prepare


def removed(*folders: Path) -> Callable[[], None]:
    """A preparation: removes `folders` and what `isn` keeps beside them."""

    def prepare() -> None:
        for folder in folders:
            for path in [folder, *folder.parent.glob(f".{folder.name}.isn-*")]:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return prepare


def needs(*programs: str) -> None:
    """Exits with one message if a program is missing."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        sys.exit(f"not found: {', '.join(absent)}; benches/README.md says how to get them")
