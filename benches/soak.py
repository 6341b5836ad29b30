"""A day of pulls in ten minutes: `isn serve` with a registry of two versions, and clients that pull whole
versions and parts, switch between the versions, are killed, share one cache, and sweep it.

At the end, the server has no more memory and open files than half-way, nothing hidden is left beside the
trees, the cache is undamaged and has no unfinished file, and every tree is correct.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import arguments
import photographs
from contest import Row, print_head, removed

A_DAY = 288
"""A day's pulls, one every five minutes."""


def isn(args, *command, fails=False) -> dict:
    ended = subprocess.run(
        [str(part) for part in (args.isn, *command, "--json", "--quiet")], capture_output=True, text=True
    )
    if (ended.returncode != 0) != fails:
        sys.exit(f"{command}: exit code {ended.returncode}\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def registry(args) -> Path:
    """Two versions of 400 photographs; the second lacks 20 of them."""
    folder = args.work / "soak-registry"
    if (folder / "done").exists():
        return folder
    photos = photographs.make(args.isn, args.work, "soak-photographs", 400, 190, args.photos)
    isn(args, "key", "new", "soak", "--no-passphrase")
    for version in ("1.0", "1.1"):
        if version == "1.1":
            all_photos, photos = photos, args.work / "soak-fewer"
            removed(photos)()
            shutil.copytree(all_photos, photos)
            for gone in sorted(path for path in photos.rglob("*") if path.is_file())[::20]:
                gone.unlink()
        recipe, out = args.work / f"soak-{version}.toml", args.work / f"soak-{version}"
        recipe.write_text(photographs.recipe("soak", '"png"').replace('"1.0"', f'"{version}"'))
        removed(out)()
        isn(args, "build", recipe, "--source", photos, "--out", out)
        isn(args, "publish", out, "--registry", folder, "--key", "soak")
    (folder / "done").touch()
    return folder


def state(pid: int) -> tuple[int, int]:
    """Memory in bytes, and the number of open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024
    return memory, len(os.listdir(f"/proc/{pid}/fd"))


def main() -> None:
    args = arguments.read(__doc__)
    os.environ["ISN_HOME"] = str(args.work / "soak-home")
    folder = registry(args)
    seconds = args.count or 600
    trees = args.work / "soak-trees"
    removed(trees, args.work / "soak-home/cache")()
    trees.mkdir()
    server = subprocess.Popen([args.isn, "serve", folder, "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, text=True)
    url = json.loads(server.stdout.readline())["url"]
    key = subprocess.run([args.isn, "key", "show", "soak"], check=True, capture_output=True, text=True).stdout
    subprocess.run([args.isn, "trust", "add", url, key.strip()], check=True, capture_output=True)
    chance, lists = random.Random(1), []
    isn(args, "pull", "soak@1.1", "--registry", url, "--to", trees / "tree0")
    images = [line for line in (trees / "tree0/B3SUMS").read_text().splitlines() if "classes.csv" not in line]
    for number in range(6):
        lists.append(args.work / f"soak-list{number}")
        lists[-1].write_text("\n".join(chance.sample(images, 20 + 50 * number)))
    begun, pulls, kills, states = time.monotonic(), 0, 0, []
    while time.monotonic() - begun < seconds or pulls < A_DAY:
        place = trees / f"tree{chance.randrange(4)}"
        more = chance.choice([[], [], ["--images", chance.choice(lists)], ["--no-cache"]])
        command = [args.isn, "pull", f"soak@1.{chance.randrange(2)}", "--registry", url, "--to", place, *more, "--quiet"]
        several = [
            subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for _ in range(chance.choice([1, 1, 3]))
        ]
        if chance.random() < 0.2:
            time.sleep(chance.random() * 0.3)
            several[0].send_signal(signal.SIGKILL)
        for one in several:
            _, complaint = one.communicate()
            kills += one.returncode == -signal.SIGKILL
            if one.returncode not in (0, -signal.SIGKILL):
                sys.exit(f"{command}: exit code {one.returncode}\n{complaint}")
        pulls += len(several)
        what = chance.random()
        if what < 0.05:
            isn(args, "cache", "gc", "--max-size", "10MB")
        elif what < 0.1:
            shutil.rmtree(place, ignore_errors=True)
        if time.monotonic() - begun > (len(states) + 1) * seconds / 10:
            states.append(state(server.pid))
    # The next pull of the same version reuses or removes what a killed one left.
    for place in trees.glob("tree*"):
        for version in ("1.0", "1.1"):
            isn(args, "pull", f"soak@{version}", "--registry", url, "--to", place)
            isn(args, "verify", place, "--expect", f"soak@{version}", "--registry", url)
    early, late = states[len(states) // 2], state(server.pid)
    server.terminate()
    code = server.wait(60)
    cache = isn(args, "cache", "info")
    isn(args, "cache", "verify")
    isn(args, "registry", "check", folder)
    # Whole versions were pulled last, so nothing hidden may be left except parts of killed pulls.
    hidden = [path.name for path in trees.glob(".*") if not path.name.endswith("-partial")]
    partial = [path for path in trees.glob(".*-partial")]
    strays = [path.name for path in folder.rglob(".*") if path.name not in (".isn-claims", ".isn-lock")]
    print_head()
    print(Row("pulls", pulls, A_DAY, True, "", note=f"{kills} of them killed").text())
    series = ", ".join(f"{memory / 1e6:.0f}" for memory, _ in states)
    print(Row("memory of the server, at the end against half-way", late[0] / early[0], 1.1, False, note=f"MB: {series}").text())
    print(Row("open files of the server, at the end more than half-way", late[1] - early[1], 8, False, "").text())
    print(Row("exit code of the server after SIGTERM", code, 0, False, "").text())
    print(Row("damaged and unfinished files in the cache", cache["quarantine"]["files"] + cache["temporary"]["files"], kills, False, "", note="each kill may leave some").text())
    print(Row("stray files beside trees and in the registry", len(hidden) + len(strays), 0, False, "", note=f"{len(partial)} of killed parts, for the next pull of the same").text())


main()
