"""Writes split_keys.csv, quota.csv, splits.csv, thresholds.csv and balance_keys.csv beside itself, from the words of docs/format.md alone
and not from isn's code. Needs Python's `blake3` package."""
import csv
import math
from fractions import Fraction
from pathlib import Path

from blake3 import blake3

HERE = Path(__file__).parent


def key(*parts: str) -> bytes:
    """BLAKE3 over the parts, each after its length in bytes (64 bits, little endian)."""
    return blake3(b"".join(len(p.encode()).to_bytes(8, "little") + p.encode() for p in parts)).digest()


def quota(val: str, n: int) -> int:
    """floor(n * val + 1/2), exactly."""
    return math.floor(n * Fraction(val) + Fraction(1, 2))


def write(name: str, header: list[str], rows: list) -> None:
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


write("split_keys.csv", ["salt", "class", "source_id", "key"], [
    [*parts, key(*parts).hex()]
    for parts in [
        ("imagebirds", "n01614925", "n01614925_10"),
        ("imagebirds", "n01614925", "ILSVRC2012_val_00000318"),
        ("imagebirds", "n01616318", "n01614925_10"),
        ("imagesubnet50", "n01614925", "n01614925_10"),
        ("a", "bc", "d"),
        ("ab", "c", "d"),
        ("été", "x", "train/x/a b, c/1"),
    ]
])

write("quota.csv", ["val", "n", "quota"], [
    [val, n, quota(val, n)]
    for val in ["0.2", "0.15", "0.285", "0.1", "0.5", "0.005", "0.333333333", "0.999999999", "0.000000001"]
    for n in [0, 1, 2, 3, 5, 10, 100, 1350, 499_999_999, 500_000_000, 2**40 + 1]
])

# Two classes of 13 and 6 images; 1 in 4 is val.
pool = [("n01614925", f"n01614925_{i}") for i in range(10)]
pool += [("n01614925", f"ILSVRC2012_val_0000000{i}") for i in range(3)]
pool += [("n01616318", f"n01616318_{i}") for i in range(6)]
split = {}
for label in sorted({label for label, _ in pool}):
    ids = [id for other, id in pool if other == label]
    ids.sort(key=lambda id: key("golden", label, id))
    val = quota("0.25", len(ids))
    split |= {id: (label, "val" if rank < val else "train") for rank, id in enumerate(ids)}
write("splits.csv", ["source_id", "class", "split"], [
    [id, *split[id]] for id in sorted(split, key=str.encode)
])

write("thresholds.csv", ["val", "salt", "unit", "split"], [
    [val, salt, unit, "val" if int.from_bytes(key("threshold", salt, unit)[:8], "big") < Fraction(val) * 2**64 else "train"]
    for val in ["0.000000001", "0.2", "0.5", "0.999999999"]
    for salt in ["imagebirds", "\u00e9t\u00e9"]
    for unit in [f"n01614925_{i}" for i in range(8)]
])

write("balance_keys.csv", ["name", "source_id", "key"], [
    [name, id, key("balance", name, id).hex()]
    for name in ["imagebirds", "imagesubnet50"] for id in ["n01614925_10", "train/x/a b, c/1"]
])
