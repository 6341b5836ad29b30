"""`isn build` of raw-size photographs, against Pillow, vipsthumbnail, OpenCV, and zune-jpeg alone."""

import subprocess
import sys
from pathlib import Path

import arguments
import photographs
from contest import (
    ONE_CORE,
    TWO_CORES,
    Contender,
    alternate,
    emptied,
    faster,
    memory,
    needs,
    print_head,
    removed,
)


def decoder(work: Path) -> str:
    """Builds benches/decode and returns the path of its program."""
    manifest, target = Path(__file__).parent / "decode/Cargo.toml", work / "decoder"
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target]
    subprocess.run(command, check=True)
    return str(target / "release/decode")


def main() -> None:
    args = arguments.read(__doc__)
    needs("taskset", "vipsthumbnail", "cargo")
    work, here = args.work, Path(__file__).parent
    photos = photographs.make(args.isn, work, "photographs", args.count or 1000, 375, args.photos)
    recipe = work / "build.toml"
    recipe.write_text(photographs.recipe("build", '"png"'))
    files = sorted(str(path) for path in photos.rglob("*.jpg"))
    thumbnails, out = work / "thumbnails", work / "out"

    def build(name: str, cores: list[str], jobs: int) -> Contender:
        command = [
            *cores,
            args.isn,
            "build",
            recipe,
            "--source",
            photos,
            "--out",
            out,
            "--quiet",
            f"-j{jobs}",
        ]
        return Contender(name, [str(part) for part in command], removed(out))

    def peer(name: str) -> Contender:
        command = [*ONE_CORE, sys.executable, str(here / "thumbnails.py"), name, str(photos), str(thumbnails)]
        return Contender(name, command, emptied(thumbnails))

    # All photographs are landscape, so a height of 160 is a shortest side of 160.
    vips = [*ONE_CORE, "vipsthumbnail", "--size", "x160", "-o", f"{thumbnails}/%s.png[compression=0]", *files]
    isn, two = build("isn", ONE_CORE, 1), build("isn -j2", TWO_CORES, 2)
    pillow, opencv = peer("pillow"), peer("opencv")
    vipsthumbnail = Contender("vipsthumbnail", vips, emptied(thumbnails), env={"VIPS_CONCURRENCY": "1"})
    alone = Contender("decoder", [*ONE_CORE, decoder(work), str(photos)])
    alternate([isn, pillow, vipsthumbnail, opencv, alone, two], args.rounds)

    print_head()
    print(faster("build, rate against Pillow", isn, pillow, 1.4).text())
    print(faster("build, rate against vipsthumbnail", isn, vipsthumbnail, 2.2).text())
    print(faster("build, rate against OpenCV", isn, opencv, 1.0).text())
    print(faster("build, rate against zune-jpeg alone", isn, alone, 0.70).text())
    print(faster("build, rate of two threads against one", two, isn, 1.75).text())
    print(memory("build, peak memory, two threads", two, 1 << 30).text())


main()
