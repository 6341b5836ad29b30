#!/usr/bin/env python3
"""Every image of a PNG tree, opened in Pillow, has the pixels of the index's pixel digest.

usage: pillow.py BUILD_OR_REGISTRY TREE

Reads the index of the tree's version (zstd-compressed JSON lines, docs/format.md) with the stock zstd command,
opens each file of the tree with Pillow, and compares BLAKE3(width u32 LE, height u32 LE, RGB8 rows) with the
row. Needs Pillow and blake3.
"""

import json
import pathlib
import struct
import subprocess
import sys

import blake3
from PIL import Image


def rows(store: pathlib.Path, tree: pathlib.Path):
    """Rows of the index of the version that the tree says it is."""

    def stored(digest: str) -> pathlib.Path:
        digest = digest.removeprefix("b3:")
        (path,) = (store / "objects" / digest[:2]).glob(digest + ".*")
        return path

    manifest = json.loads(stored(json.loads((tree / "ISN.json").read_text())["manifest"]).read_text())
    index = stored(manifest["objects"]["index"]["blake3"])
    text = subprocess.run(["zstd", "-dcq", index], check=True, capture_output=True).stdout
    return map(json.loads, text.splitlines())


def main() -> int:
    store, tree = map(pathlib.Path, sys.argv[1:3])
    checked = wrong = 0
    for row in rows(store, tree):
        with Image.open(tree / row["path"]) as picture:
            rgb = picture.convert("RGB")
            pixels = struct.pack("<II", *rgb.size) + rgb.tobytes()
        same = rgb.size == (row["width"], row["height"]) and blake3.blake3(pixels).hexdigest() == row["pixels"]
        if not same:
            print(f"differs: {row['path']}")
        checked, wrong = checked + 1, wrong + (not same)
    print(f"pillow: {checked} images, {wrong} differ")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
