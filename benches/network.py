"""`isn pull` over a network: two threads against one on loopback, a slow link against `curl`, and `dvc pull`
of the same files over HTTP.

nginx is not pinned. All caches are empty before a run; `dvc` is skipped if it is not installed beside Python.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import arguments
import photographs
from contest import TWO_CORES, Contender, alternate, emptied, faster, needs, print_head, removed
from far import Far
from server import serve

DVC = Path(sys.executable).parent / "dvc"


def run(*command, **more) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, **more)


def registry(args) -> Path:
    """A registry with 8,000 images, as stored PNG and as JPEG, made once."""
    folder = args.work / "network-registry"
    if (folder / "done").exists():
        return folder
    photos = photographs.make(args.isn, args.work, "small-photographs", args.count or 8000, 190, args.photos)
    run(args.isn, "key", "new", "network", "--no-passphrase")
    for name, encode in (("png", '"png"'), ("jpeg", "{ jpeg = 95 }")):
        recipe, out = args.work / f"network-{name}.toml", args.work / f"network-{name}"
        recipe.write_text(photographs.recipe(f"network-{name}", encode))
        removed(out)()
        run(args.isn, "build", recipe, "--source", photos, "--out", out, "--quiet")
        run(args.isn, "publish", out, "--registry", folder, "--key", "network", "--quiet")
    (folder / "done").touch()
    return folder


def pull(args, name: str, url: str, pin: str, tree: Path, jobs: int) -> Contender:
    command = [*TWO_CORES, args.isn, "pull", pin, "--registry", url, "--to", tree, "--quiet", f"-j{jobs}"]
    cache = Path(os.environ["ISN_HOME"]) / "cache"
    return Contender(name, [str(part) for part in command], removed(tree, cache))


def main() -> None:
    args = arguments.read(__doc__)
    needs("taskset", "nginx", "curl")
    os.environ["ISN_HOME"] = str(args.work / "network-home")
    folder, tree = registry(args), args.work / "network-tree"
    server, url = serve(folder, args.work)
    try:
        key = subprocess.run([args.isn, "key", "show", "network"], check=True, capture_output=True, text=True)
        run(args.isn, "trust", "add", folder, key.stdout.strip())
        pin = pin_of(args, folder, "network-png")
        print_head()
        two, one = (pull(args, f"-j{jobs}", url, pin, tree, jobs) for jobs in (2, 1))
        alternate([two, one], args.rounds)
        print(faster("pull on loopback, two threads against one", two, one, 1.6).text(), flush=True)
        far(args, url, folder, pin, tree)
        removed(tree, args.work / "far-tree")()
        if DVC.exists():
            for name, target in (("jpeg", 20), ("png", None)):
                dvc(args, name, target, pin_of(args, folder, f"network-{name}"), url)
        else:
            print(f"not tried: dvc, which is not at {DVC}", file=sys.stderr)
    finally:
        server.terminate()
        server.wait()


def pin_of(args, folder: Path, name: str) -> str:
    info = [args.isn, "info", f"{name}@1.0", "--registry", folder, "--json"]
    shown = subprocess.run([str(part) for part in info], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout.splitlines()[-1])["pin"]


def far(args, url: str, folder: Path, pin: str, tree: Path) -> None:
    """Pulls over the slow link: about 100 MB, enough to keep eight connections busy most of the time."""
    host, port = url.removeprefix("http://").split(":")
    way = Far(host, int(port))
    shards = sorted(folder.glob("objects/*/*.tar.zst"), key=lambda path: path.stat().st_size)[-3:]
    listed = args.work / "far-images"
    packs = [path for path in folder.glob("objects/*/*.jsonl.zst")]
    wanted = {path.name.split(".")[0] for path in shards}
    images = set()
    for path in packs:
        lines = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, text=True).stdout
        head, *rows = lines.splitlines()
        if '"isn-pack/1"' not in head:
            continue
        numbers = {n for n, shard in enumerate(json.loads(head)["shards"]) if shard["blake3"] in wanted}
        images |= {row["blake3"] for row in map(json.loads, rows) if row["shard"] in numbers}
    sums = (tree / "B3SUMS").read_text().splitlines()
    listed.write_text("".join(f"{line}\n" for line in sums if line[:64] in images))
    isn = pull(args, "isn", way.url, pin, args.work / "far-tree", 2)
    # Not from the tree beside it, which has all images.
    isn.command += ["--images", str(listed), "--no-cache"]
    fetched = " ".join(f"-o /dev/null {way.url}/{path.relative_to(folder)}" for path in shards)
    curl = Contender("curl", ["bash", "-ec", f"curl -sf {fetched}"])
    alternate([isn, curl], max(1, args.rounds // 2))
    total = sum(path.stat().st_size for path in shards)
    what = f"pull of {total / 1e6:.0f} MB, 100 ms away at 4 MB/s a connection, against one curl"
    print(faster(what, isn, curl, 4).text(), flush=True)


def dvc(args, name: str, target: float | None, pin: str, url: str) -> None:
    """The same 8,000 files as a directory that DVC tracks, in a remote behind the same kind of server."""
    work, remote, tree = (args.work / f"{part}-{name}" for part in ("dvc", "dvc-remote", "dvc-tree"))
    ours = pull(args, "isn", url, pin, tree, 2)
    env = {"DVC_NO_ANALYTICS": "1", "GIT_CEILING_DIRECTORIES": str(args.work)}
    if not (work / "tree.dvc").exists():
        removed(work, remote)()
        work.mkdir()
        step = lambda *command: run(DVC, *command, "--quiet", cwd=work, env={**os.environ, **env})
        step("init", "--no-scm")
        ours.run()
        shutil.copytree(tree, work / "tree")
        step("add", "tree")
        step("remote", "add", "-d", "disk", remote)
        step("push")
    place = args.work / "dvc-nginx"
    place.mkdir(exist_ok=True)
    server, remote_url = serve(remote, place)
    try:
        run(DVC, "remote", "add", "-f", "web", remote_url, "--quiet", cwd=work, env={**os.environ, **env})
        theirs = Contender(
            "dvc",
            [*TWO_CORES, str(DVC), "pull", "--remote", "web", "--quiet"],
            emptied(work / ".dvc/cache", work / "tree"),
            cwd=work,
            env=env,
        )
        alternate([ours, theirs], max(1, args.rounds // 2))
        what = f"pull of 8,000 files of {name}, against dvc pull over HTTP"
        print(faster(what, ours, theirs, target or 0).text(), flush=True)
    finally:
        server.terminate()
        server.wait()
        removed(work, remote, tree)()


main()
