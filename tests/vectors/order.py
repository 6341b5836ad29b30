"""Writes order.txt and augment.csv beside itself, from the words of docs/order.md alone and not from isn's code. Needs
Python's `blake3` package. Integers and binary floats of Python are exact or as IEEE 754 has them."""
import math
from pathlib import Path

from blake3 import blake3

HERE = Path(__file__).parent
DEMOBIRDS = "2a470dfd86048a024c838852321c5f0d12366410cba289fc262d7c3135d3b9a8"


class Draws:
    def __init__(self, what: bytes):
        self.hash, self.at = blake3(what), 0

    def number(self) -> int:
        bytes_ = self.hash.digest(length=8, seek=self.at)
        self.at += 8
        return int.from_bytes(bytes_, "little")

    def below(self, limit: int) -> int:
        turns = 2**64 // limit * limit
        while True:
            number = self.number()
            if number < turns:
                return number % limit

    def fraction(self) -> float:
        return (self.number() >> 11) / 2**53

    def shuffle(self, items: list) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]


def le(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(8, "little") for n in numbers)


def order(dataset: str, seed: int, epoch: int, images: int, shuffle: str) -> list:
    draws = Draws(b"isn-order/1" + bytes.fromhex(dataset) + le(seed, epoch, images))
    items = list(range(images))
    if shuffle == "full":
        draws.shuffle(items)
    if shuffle == "shard":
        runs = [items[i:i + 64] for i in range(0, images, 64)]
        draws.shuffle(runs)
        items = []
        for i in range(0, len(runs), 64):
            some = [image for run in runs[i:i + 64] for image in run]
            draws.shuffle(some)
            items += some
    return items


def choose(seed, epoch, path, width, height, crop, scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3)):
    """x, y, width, height of what is shown, and whether it is mirrored."""
    draws = Draws(b"isn-augment/1" + le(seed, epoch) + path.encode())
    mirrored = draws.number() % 2 == 1
    if crop == "none":
        return 0, 0, width, height, mirrored
    if crop == "centre":
        side = min(width, height)
        return (width - side) // 2, (height - side) // 2, side, side, mirrored
    for _ in range(10):
        area = (scale[0] + draws.fraction() * (scale[1] - scale[0])) * (width * height)
        turned = draws.number() % 2 == 1
        at = draws.fraction()
        if turned:
            shape = 1 / (1 / ratio[1] + at * (1 / ratio[0] - 1 / ratio[1]))
        else:
            shape = ratio[0] + at * (ratio[1] - ratio[0])
        w, h = math.floor(math.sqrt(area * shape) + 0.5), math.floor(math.sqrt(area / shape) + 0.5)
        if 1 <= w <= width and 1 <= h <= height:
            x = draws.below(width - w + 1)
            y = draws.below(height - h + 1)
            return x, y, w, h, mirrored
    w, h = width, height
    if width / height < ratio[0]:
        h = min(max(math.floor(width / ratio[0] + 0.5), 1), height)
    elif width / height > ratio[1]:
        w = min(max(math.floor(height * ratio[1] + 0.5), 1), width)
    return (width - w) // 2, (height - h) // 2, w, h, mirrored


def main() -> None:
    lines = ["# dataset seed epoch images shuffle order: the numbers, or BLAKE3 of them as 32 bits each, little-endian"]
    for seed, epoch, images, shuffle in [
        (7, 3, 203, "full"), (7, 3, 203, "shard"), (7, 3, 163, "full"), (7, 3, 40, "none"), (0, 0, 1, "full"),
        (2**64 - 1, 2**63, 100_000, "full"), (1, 2, 10_000, "shard"), (1, 2, 4097, "shard"),
    ]:
        items = order(DEMOBIRDS, seed, epoch, images, shuffle)
        said = ",".join(map(str, items))
        if len(items) > 300:
            said = "b3:" + blake3(b"".join(i.to_bytes(4, "little") for i in items)).hexdigest()
        lines.append(f"b3:{DEMOBIRDS} {seed} {epoch} {images} {shuffle} {said}")
    (HERE / "order.txt").write_text("\n".join(lines) + "\n")
    rows = ["seed,epoch,path,width,height,crop,x,y,w,h,mirrored"]
    for width, height in [(213, 160), (160, 240), (160, 160), (1000, 100), (100, 1000), (1, 1), (500, 333)]:
        for crop in ["none", "centre", "random"]:
            for number in range(4 if crop == "random" else 1):
                path = f"train/n01614925/n01614925_{number}.png"
                shown = choose(7, 3, path, width, height, crop)
                rows.append(",".join(map(str, [7, 3, path, width, height, crop, *shown[:4], int(shown[4])])))
    (HERE / "augment.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
