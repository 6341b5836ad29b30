"""The photographs that the contests work on: made once in the work folder, the same for the same sources.

They are random crops, scaled to about 500x375 and saved as JPEG of quality 90 with 4:2:0 colour, as ImageNet's
are, of real photographs where folders of them are named, and else of the birds of `isn demo source`. Drawn birds
compress better than photographs do, so figures for them are kinder to nobody in particular, but not comparable.
"""

import multiprocessing
import random
import shutil
import subprocess
from pathlib import Path

from PIL import Image, ImageOps

CLASSES = 10


def recipe(name: str, encode: str) -> str:
    """A recipe over the classes that `make` makes: shortest side 160, the source's own splits."""
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
    """An ImageFolder `work/name` of `count` landscape photographs whose shortest side is about `side` pixels."""
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
    for n in numbers:
        path = folder / "train" / class_id(n % CLASSES) / f"{n:05d}.jpg"
        crop(image, random.Random(n), side).save(path, quality=90, subsampling="4:2:0")


def crop(image: Image.Image, chance: random.Random, side: int) -> Image.Image:
    height = round(side * chance.uniform(0.9, 1.1))
    width = round(height * chance.uniform(1.25, 1.45))
    # At least three quarters of what fits.
    scale = min(image.width / width, image.height / height) * chance.uniform(0.75, 1)
    box = (width * scale, height * scale)
    left, top = chance.uniform(0, image.width - box[0]), chance.uniform(0, image.height - box[1])
    box = (left, top, left + box[0], top + box[1])
    image = image.resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=2)
    return ImageOps.mirror(image) if chance.random() < 0.5 else image
