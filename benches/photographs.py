"""The photographs for the contests: made once in the work folder, the same for the same sources.

They are random crops, scaled to about 500x375, of the real photographs in the named folders, or else of the
birds of `isn demo source`. A decoder's work on a picture depends on its bits per pixel, which depend on how
it was saved: so each crop is saved with one of the settings in `SAVED`, which are those of 98 colour images
of ImageNet (of 100 classes, raw size). `photographs.py FOLDER...` prints these measures for any JPEGs: bytes,
pixels and bits per pixel, and how many files have each quality and colour sampling.

Drawn birds are smoother than photographs, so figures for them are not comparable to any others.
"""

import multiprocessing
import random
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from PIL import Image, ImageOps, JpegImagePlugin

CLASSES = 10

SAVED = {
    "4:4:4": {80: 2, 86: 1, 90: 1, 91: 2, 92: 2, 93: 2, 96: 68},
    "4:2:2": {85: 1, 89: 1, 96: 1},
    "4:2:0": {60: 1, 61: 1, 69: 1, 70: 1, 72: 1, 75: 5, 80: 2, 85: 1, 90: 1, 92: 1, 96: 1, 97: 1},
}
"""The number of ImageNet files with each colour sampling and quality; all of them use the standard tables."""

# fmt: off
LUMA = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
]
# fmt: on
"""The luma table of ITU-T T.81, table K.1, row by row."""


def recipe(name: str, encode: str) -> str:
    """A recipe for the classes that `make` makes: shortest side 160, the source's own splits."""
    head = f"""format = "isn-recipe/1"
name = "{name}"
version = "1.0"
title = "{name}"
description = "Crops of photographs, to measure speed with"
licence = "none: never published"
authors = ["nobody"]

[source]
kind = "imagefolder"

[image]
size = 160
filter = "catmullrom"
encode = {encode}

[split]
policy = "keep"
"""
    classes = (f'\n[[class]]\nid = "{class_id(n)}"\nlabel = "class {n}"\n' for n in range(CLASSES))
    return head + "".join(classes)


def class_id(n: int) -> str:
    return f"n{n:08d}"


def make(isn: Path, work: Path, name: str, count: int, side: int, sources: list[Path]) -> Path:
    """Makes an ImageFolder `work/name` of `count` landscape photographs, shortest side about `side`."""
    folder = work / name
    if (folder / "train").is_dir():
        return folder
    if not sources:
        drawn = work / "drawn"
        if not drawn.is_dir():
            subprocess.run([isn, "demo", "source", drawn], check=True, stdout=subprocess.DEVNULL)
        sources = [drawn]
    originals = usable(sources)
    making = work / f"{name}.making"
    shutil.rmtree(making, ignore_errors=True)
    for n in range(CLASSES):
        (making / "train" / class_id(n)).mkdir(parents=True)
    with multiprocessing.Pool() as pool:
        step = len(originals)
        jobs = [(original, range(at, count, step), making, side) for at, original in enumerate(originals)]
        pool.starmap(crops, jobs, chunksize=1)
    making.rename(folder)
    return folder


def usable(sources: list[Path]) -> list[Path]:
    """Every image below `sources` that can be decoded and is not tiny."""
    found = []
    for path in sorted(path for source in sources for path in source.rglob("*") if path.is_file()):
        try:
            with Image.open(path) as image:
                image.load()
                if min(image.size) >= 200:
                    found.append(path)
        except (OSError, SyntaxError):
            continue
    if not found:
        raise SystemExit("no image that could be used as a photograph was found")
    return found


def crops(original: Path, numbers: range, folder: Path, side: int) -> None:
    """The photographs with these numbers, all from one original, which is decoded once."""
    with Image.open(original) as image:
        image = image.convert("RGB")
    if image.width < image.height:
        image = image.transpose(Image.Transpose.ROTATE_90)
    settings = [(sampling, quality) for sampling, of in SAVED.items() for quality in Counter(of).elements()]
    for n in numbers:
        path, chance = folder / "train" / class_id(n % CLASSES) / f"{n:05d}.jpg", random.Random(n)
        sampling, quality = chance.choice(settings)
        crop(image, chance, side).save(path, quality=quality, subsampling=sampling, optimize=True)


def crop(image: Image.Image, chance: random.Random, side: int) -> Image.Image:
    height = min(round(side * chance.uniform(0.95, 1.15)), round(image.width / 1.25), image.height - chance.randrange(16))
    width = min(round(height * chance.uniform(1.25, 1.5)), image.width)
    # Never enlarged: that would smooth the picture, and smooth pictures are far cheaper
    # to decode than photographs.
    scale = max(1, min(image.width / width, image.height / height) * chance.uniform(0.75, 1))
    box = (width * scale, height * scale)
    # At whole pixels, since half a pixel off would smooth it, too.
    left, top = (int(chance.uniform(0, room)) for room in (image.width - box[0], image.height - box[1]))
    box = (left, top, left + box[0], top + box[1])
    image = image.resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=2)
    return ImageOps.mirror(image) if chance.random() < 0.5 else image


def describe(folders: list[Path]) -> None:
    """Prints how the JPEGs below `folders` were saved."""
    sizes, pixels, settings = [], [], Counter()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        with Image.open(path) as image:
            if image.format != "JPEG":
                continue
            sampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "other")
            settings[sampling, quality_of(image.quantization[0])] += 1
            sizes.append(path.stat().st_size)
            pixels.append(image.width * image.height)
    bits = [8 * size / area for size, area in zip(sizes, pixels, strict=True)]
    for what, values in {"bytes": sizes, "pixels": pixels, "bits per pixel": bits}.items():
        low, middle, high = statistics.quantiles(values)
        print(f"{what}: mean {statistics.mean(values):.6g}, quartiles {low:.6g}, {middle:.6g}, {high:.6g}")
    for (sampling, quality), count in sorted(settings.items()):
        print(f"{sampling} quality {quality}: {count} of {len(sizes)}")


def quality_of(table: list[int]) -> int:
    """The quality whose standard luma table is nearest to `table`, as libjpeg scales it."""

    def distance(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        scaled = (min(max((value * scale + 50) // 100, 1), 255) for value in LUMA)
        return sum(abs(one - other) for one, other in zip(scaled, table, strict=True))

    return min(range(1, 101), key=distance)


if __name__ == "__main__":
    describe([Path(folder) for folder in sys.argv[1:]])
