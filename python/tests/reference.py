"""What batches are, in plain NumPy, from the words of docs/order.md."""

import importlib.util
import math
from pathlib import Path

import numpy as np

_spec = importlib.util.spec_from_file_location("order", Path(__file__).parents[2] / "tests/vectors/order.py")
order = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(order)


def weights(source: int, target: int):
    """For each of `target` samples where its source samples begin, and their whole-number weights; and the
    bits by which sums are too large."""
    scale = source / target
    stretch = max(scale, 1.0)
    rows = []
    for at in range(target):
        centre = (at + 0.5) * scale
        low, high = max(math.floor(centre - stretch), 0), min(math.ceil(centre + stretch), source)
        row = np.array(
            [max(1.0 - abs((x - (centre - 0.5)) * (1.0 / stretch)), 0.0) for x in range(low, high)]
        )
        rows.append((low, row / row.sum()))
    largest = max(row.max() for _, row in rows)
    bits = next((b for b in range(22) if math.floor(largest * 2 ** (b + 1) + 0.5) >= 2**15), 21)
    return [(low, np.floor(row * 2**bits + 0.5).astype(np.int64)) for low, row in rows], bits


def resample(image: np.ndarray, target: int, axis: int) -> np.ndarray:
    if image.shape[axis] == target:
        return image
    rows, bits = weights(image.shape[axis], target)
    image = np.moveaxis(image.astype(np.int64), axis, 0)
    out = [(np.tensordot(row, image[low : low + len(row)], 1) + 2 ** (bits - 1)) >> bits for low, row in rows]
    return np.moveaxis(np.clip(np.stack(out), 0, 255).astype(np.uint8), 0, axis)


def view(image, seed, epoch, path, crop, size, flip, **shapes):
    """What a batch shows of `image` (height × width × 3)."""
    height, width = image.shape[:2]
    x, y, w, h, mirrored = order.choose(seed, epoch, path, width, height, crop, **shapes)
    part = image[y : y + h, x : x + w]
    if size is not None:
        part = resample(resample(part, size[0], 0), size[1], 1)
    return part[:, ::-1] if flip and mirrored else part
