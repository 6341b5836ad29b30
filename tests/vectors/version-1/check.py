"""Checks this version against the words of docs/format.md alone, without isn: the index against the tree and the source,
the bytes of each PNG and its pixel digest, B3SUMS, the pool split, the pack and the shard. Needs `b3sum` and `zstd`."""
import csv
import json
import math
import struct
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).parent
REGISTRY = HERE / "registry"


def b3(data: bytes) -> str:
    return subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True, check=True).stdout.decode().strip()


def unzstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


def object_bytes(hex64: str, extension: str) -> bytes:
    data = (REGISTRY / "objects" / hex64[:2] / f"{hex64}.{extension}").read_bytes()
    assert b3(data) == hex64
    return data


def png_pixels(data: bytes, width: int, height: int) -> bytes:
    """The pixels of a PNG of exactly the form that the page gives (of one deflate block)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at:at + 4])
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(data[at + 4:at + 8 + length])
        at += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[0][1] == struct.pack(">II", width, height) + bytes([8, 2, 0, 0, 0])
    stream, stride = chunks[1][1], 3 * width + 1
    size = stride * height
    assert stream[:7] == b"\x78\x01\x01" + struct.pack("<HH", size, 0xFFFF ^ size)
    rows, above, pixels = zlib.decompress(stream), bytes(3 * width), b""
    for at in range(0, size, stride):
        assert rows[at] == 2
        above = bytes((up + here) % 256 for up, here in zip(above, rows[at + 1:at + stride]))
        pixels += above
    return pixels


release = (REGISTRY / "releases/golden/1.0").read_text().split("\n\n")[0].splitlines()
assert release[:3] == ["isn/v1 release", "name golden", "version 1.0"]
dataset, (manifest_hex, length) = release[3].removeprefix("dataset b3:"), release[4].removeprefix("manifest b3:").split()
manifest_bytes = object_bytes(manifest_hex, "json")
assert len(manifest_bytes) == int(length)
manifest = json.loads(manifest_bytes)
assert manifest["dataset"] == f"b3:{dataset}" and (REGISTRY / "pins" / dataset).read_text() == "golden 1.0\n"
objects = manifest["objects"]

# Index, tree and source.
index_text = unzstd(object_bytes(objects["index"]["blake3"], "jsonl.zst")).decode()
index = [json.loads(line) for line in index_text.splitlines()]
for row in index:
    data = (HERE / "tree" / row["path"]).read_bytes()
    assert (b3(data), len(data)) == (row["blake3"], row["length"])
    pixels = png_pixels(data, row["width"], row["height"])
    assert b3(struct.pack("<II", row["width"], row["height"]) + pixels) == row["pixels"]
    assert b3((HERE / "source" / f"{row['source']}.png").read_bytes()) == row["source_blake3"]
    assert row["path"] == f"{row['split']}/{row['class']}/{row['source'].split('/')[-1]}.png"
classes = object_bytes(objects["classes"]["blake3"], "csv")
lines = sorted([(row["path"], row["blake3"]) for row in index] + [("classes.csv", b3(classes))])
sums = "".join(f"{digest}  {path}\n" for path, digest in lines)
assert sums == (HERE / "tree/B3SUMS").read_text() and b3(sums.encode()) == dataset

# The pool split, from the source's folders.
def key(*parts: str) -> str:
    return b3(b"".join(struct.pack("<Q", len(part)) + part.encode() for part in parts))

assignments = {row["source_id"]: row["split"] for row in
               csv.DictReader(object_bytes(objects["assignments"]["blake3"], "csv").decode().splitlines())}
ids = [path.relative_to(HERE / "source").as_posix().removesuffix(".png") for path in HERE.glob("source/*/*/*.png")]
for name in ("ant", "bee"):
    pool = [id for id in ids if id.split("/")[1] == name and not id.startswith("test/")]
    kept = [id for id in pool if id != "train/bee/bee_5"]
    val = sorted(kept, key=lambda id: key("golden", name, id))[:math.floor(len(pool) * Fraction("0.5") + Fraction(1, 2))]
    assert all(assignments[id] == ("val" if id in val else "train") for id in kept)

# Pack and shard.
pack_hex = (REGISTRY / "packs" / manifest_hex).read_text().strip()
header, *entries = [json.loads(line) for line in unzstd(object_bytes(pack_hex, "jsonl.zst")).splitlines()]
assert header["format"] == "isn-pack/1"
(shard_ref,) = header["shards"]
shard = object_bytes(shard_ref["blake3"], "tar.zst")
assert len(shard) == shard_ref["length"]
lengths, end = {row["blake3"]: row["length"] for row in index}, 0
for entry in entries:
    assert entry["offset"] == end, "nothing stands between frames"
    end += entry["length"]
    frame = shard[entry["offset"]:end]
    assert b3(frame) == entry["frame"]
    tar, size = unzstd(frame), lengths[entry["blake3"]]
    assert tar[:68].decode() == f"{entry['blake3']}.png" and tar[156:157] == b"0" and tar[257:265] == b"ustar\x0000"
    assert int(tar[124:135], 8) == size and len(tar) == 512 + -(-size // 512) * 512
    assert b3(tar[512:512 + size]) == entry["blake3"] and not any(tar[512 + size:])
assert unzstd(shard[end:]) == bytes(1024)
assert sorted(entry["blake3"] for entry in entries) == sorted(lengths)
print("version-1 is as docs/format.md says")
