"""Writes embeddings/ beside itself, a folder of isn-embeddings/1 with two images, from the words of
docs/format.md alone and not from isn's code. Needs NumPy and Python's `blake3` package."""

import json
from pathlib import Path

import numpy
from blake3 import blake3


def b3(data: bytes) -> str:
    return blake3(data).hexdigest()


folder = Path(__file__).parent / "embeddings"
folder.mkdir(exist_ok=True)
method = {
    "format": "isn-embeddings/1",
    "model": b3(b"model"),
    "weights": [b3(b"weights")],
    "layer": "pool",
    "side": 224,
    "channels": "rgb",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "crop": "middle 7/8 of the shortest side, bilinear",
    "exif_orientation": "ignore",
    "library": "tract-onnx 0.23.9",
}
(folder / "embeddings.json").write_text(json.dumps(method, indent=2) + "\n")
numpy.save(folder / "part.npy", numpy.array([[0.25, -1.5, 3], [1e-45, 0, 65504]], "<f4"))
paths = {b"one": "train/a/one.png", b"two": '"train/b/two, a copy.png"'}
rows = "".join(f"{b3(image)},{path}\n" for image, path in paths.items())
(folder / "part.csv").write_text("blake3,path\n" + rows)
files = ["embeddings.json", "part.npy", "part.csv"]
name = b3(b"".join((folder / file).read_bytes() for file in files))[:16]
for ending in ("npy", "csv"):
    (folder / f"part.{ending}").rename(folder / f"{name}.{ending}")
