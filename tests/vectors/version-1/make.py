"""Draws source/ beside itself: two classes of tiny PNGs, two of them with the same pixels. Needs nothing but Python.
It ran once; the files it wrote are the fixture, and they are never written anew."""
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).parent


def png(width: int, height: int, seed: int) -> bytes:
    rows = b"".join(
        b"\0" + bytes((seed * 40 + x * 9 * (c + 1) + y * 7 * (3 - c)) % 256 for x in range(width) for c in range(3))
        for y in range(height))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


for name, width, height, seed in [
    ("train/ant/ant_1.png", 16, 12, 1),
    ("train/ant/ant_2.png", 12, 17, 2),
    ("train/ant/ant_3.png", 20, 13, 3),
    ("val/ant/ant_4.png", 15, 11, 4),
    ("train/bee/bee_1.png", 6, 5, 5),     # smaller than the recipe's size: kept as it is
    ("train/bee/bee_2.png", 17, 12, 6),   # a mistake in the source, relabelled
    ("train/bee/bee_3.png", 16, 12, 1),   # the pixels of ant_1
    ("test/bee/bee_4.png", 14, 14, 7),    # what the source sets aside as test stays so
    ("train/bee/bee_5.png", 9, 9, 8),     # removed
]:
    path = HERE / "source" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(width, height, seed))
