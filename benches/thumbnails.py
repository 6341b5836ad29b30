"""The Python peers of `isn build`: `thumbnails.py pillow|opencv FROM TO`, shortest side 160, PNG stored."""

import sys
from pathlib import Path


def pillow(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        image = image.convert("RGB")
    scale = 160 / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.BICUBIC).save(target, compress_level=0)


def opencv(source: Path, target: Path) -> None:
    image = cv2.imread(str(source), cv2.IMREAD_COLOR)
    scale = 160 / min(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])


peer, source, target = sys.argv[1:]
if peer == "pillow":
    from PIL import Image

    make = pillow
else:
    import cv2

    cv2.setNumThreads(1)
    make = opencv
for path in sorted(Path(source).rglob("*.jpg")):
    make(path, Path(target, path.stem + ".png"))
