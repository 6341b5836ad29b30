"""`isn pull` over loopback HTTP, and `isn verify` of what it wrote.

The peer of pull is `curl` of the same shards, each piped into `tar --zstd -x`, which verifies nothing; that
of verify is `b3sum --check`. nginx is not pinned; the clients are.
"""

import json
import os
import subprocess
from pathlib import Path

import arguments
import photographs
from contest import (
    ONE_CORE,
    TWO_CORES,
    Contender,
    alternate,
    emptied,
    memory,
    needs,
    print_head,
    removed,
    share,
)
from server import serve

ENCODINGS = {"jpeg": ("{ jpeg = 95 }", 0.70), "png": ('"png"', 0.95)}


def registry(args, photos: Path) -> Path:
    """A registry with a version for each encoding, made once."""
    folder = args.work / "registry"
    if (folder / "done").exists():
        return folder
    subprocess.run(
        [args.isn, "key", "new", "bench", "--no-passphrase"], check=True, stdout=subprocess.DEVNULL
    )
    for name, (encode, _) in ENCODINGS.items():
        recipe, out = args.work / f"{name}.toml", args.work / f"{name}-out"
        recipe.write_text(photographs.recipe(name, encode))
        removed(out)()
        build = [args.isn, "build", recipe, "--source", photos, "--out", out, "--quiet"]
        subprocess.run([str(part) for part in build], check=True, stdout=subprocess.DEVNULL)
        publish = [args.isn, "publish", out, "--registry", folder, "--key", "bench", "--quiet"]
        subprocess.run(publish, check=True, stdout=subprocess.DEVNULL)
    (folder / "done").touch()
    return folder


def shards(out: Path) -> list[str]:
    """The paths of a build's shards below the registry."""
    return sorted(str(path.relative_to(out)) for path in out.glob("objects/*/*.tar.zst"))


def main() -> None:
    args = arguments.read(__doc__)
    needs("taskset", "nginx", "curl", "tar", "zstd", "b3sum")
    os.environ["ISN_HOME"] = str(args.work / "home")
    # A quarter of the area of raw photographs: at a shortest side of 160 both look the same.
    photos = photographs.make(args.isn, args.work, "small-photographs", args.count or 8000, 190, args.photos)
    folder = registry(args, photos)
    server, url = serve(folder, args.work)
    try:
        contest(args, url)
    finally:
        server.terminate()
        server.wait()


def contest(args, url: str) -> None:
    work = args.work
    key = subprocess.run([args.isn, "key", "show", "bench"], check=True, stdout=subprocess.PIPE, text=True)
    trust = [args.isn, "trust", "add", url, key.stdout.strip()]
    subprocess.run(trust, check=True, stdout=subprocess.DEVNULL)
    print_head()
    for name, (_, target) in ENCODINGS.items():
        tree, loose = work / f"{name}-tree", work / f"{name}-loose"
        out = work / f"{name}-out"
        command = [*ONE_CORE, args.isn, "pull", f"{name}@1.0", "--registry", url, "--to", tree, "--quiet"]
        # As on a new machine: no tree and an empty cache, which the pull also writes.
        isn = Contender("isn", [str(part) for part in command], removed(tree, work / "home/cache"))
        pipes = [f"curl -sf {url}/{shard} | tar --zstd -x -C {loose}" for shard in shards(out)]
        script = "set -o pipefail -e\n" + "\n".join(pipes)
        curl = Contender("curl and tar", [*ONE_CORE, "bash", "-c", script], emptied(loose))
        alternate([isn, curl], args.rounds)
        print(share(f"pull of {name}, time against curl and tar", isn, curl, target).text(), flush=True)
        print(memory(f"pull of {name}, peak memory", isn, 150_000_000).text(), flush=True)

        dataset = json.loads((tree / "ISN.json").read_text())["dataset"]
        for cores, pin, jobs in (("one core", ONE_CORE, 1), ("two cores", TWO_CORES, 2)):
            command = [*pin, args.isn, "verify", tree, "--expect", dataset, "--quiet", f"-j{jobs}"]
            verify = Contender("isn", [str(part) for part in command])
            check = [*pin, "b3sum", "--check", "--num-threads", str(jobs), "B3SUMS"]
            b3sum = Contender("b3sum", check, cwd=tree)
            alternate([verify, b3sum], args.rounds)
            what = f"verify of {name}, {cores}, time against b3sum --check"
            print(share(what, verify, b3sum, 1.0).text(), flush=True)


main()
