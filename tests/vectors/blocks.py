"""Writes the folder blocks/ beside itself: a version without images whose index and packs are in blocks, and
parts of it with proofs; from the words of docs/format.md alone and not from isn's code. Needs `zstd`.

Another version of zstd may write other frames for the same lines, with which all that names them changes. What
was once written is the vector; of a later run, only the lines and the parts must be the same."""
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "interop"))
from blake3_tree import CHUNK, blake3, chunks_of, left_chunks, node_value  # noqa: E402

OUT = HERE / "blocks"
GROUP = 16 * CHUNK
MAX_IMAGES = 4096
# How many images each class has in train, val and test. By bytes, `train/bee-fly/` is before `train/bee/`.
LONG = "only-" + "o" * 59
COUNTS = {
    "Wasp": (30, 10, 8),
    "ant": (180, 40, 20),
    "bee": (130, 30, 20),
    "bee-fly": (60, 0, 15),
    "moth": (90, 25, 0),
    LONG: (1, 0, 0),
    "zebra": (40, 0, 10),
}
SPLITS = ("train", "val", "test")


def b3(data: bytes) -> str:
    return blake3(data).hex()


def ref(data: bytes) -> dict:
    return {"blake3": b3(data), "length": len(data)}


def line(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def frame(text: str) -> bytes:
    """One zstd frame. Every third has a checksum, every second does not say how long its content is."""
    data, kind = text.encode(), len(text)
    options = ["--check" if kind % 3 == 0 else "--no-check", *([f"--stream-size={len(data)}"] if kind % 2 else [])]
    return subprocess.run(["zstd", "-19", "-qc", *options], input=data, capture_output=True, check=True).stdout


def number(*numbers: int) -> bytes:
    return b"".join(one.to_bytes(8, "little") for one in numbers)


# The rows. Some images are several times there, in one class, in two and in two splits.
def row(split: str, name: str, at: int) -> dict:
    source = f"{split}/{name}/{name} {at}" if at % 11 else f"{split}/{name}/„né“ \"{at}\" \U0001f426"
    slug = f"{name}-{at}"[:40] if at % 11 else f"n-{at}"
    path = f"{split}/{name}/{slug}-{b3(source.encode())[:16]}.png"
    picture = f"picture {at % 7}" if at % 13 == 5 else f"picture {source}"
    drawn = blake3(picture.encode())
    width, height = 8 + drawn[0] % 3, 8 + drawn[1] % 5
    return {
        "path": path, "class": name, "split": split, "blake3": b3(b"file" + drawn),
        "length": 73 + (3 * width + 1) * height, "width": width, "height": height, "pixels": b3(b"pixels" + drawn),
        "source": source, "source_blake3": b3(f"file of {source}".encode()),
    }


rows = [row(split, name, at) for name, counts in COUNTS.items() for split, count in zip(SPLITS, counts)
        for at in range(count)]
rows.sort(key=lambda row: row["path"].encode())

# classes.csv and B3SUMS.
ids = sorted(COUNTS, key=str.encode)
classes = "index,id,label,group\n" + "".join(f"{at},{id},{id} of the garden,\n" for at, id in enumerate(ids))
hashes = {"classes.csv": b3(classes.encode())} | {row["path"]: row["blake3"] for row in rows}
paths = sorted(hashes, key=str.encode)
lines = [f"{hashes[path]}  {path}\n".encode() for path in paths]
sums = b"".join(lines)
dataset = f"b3:{b3(sums)}"

# The blocks, the directory, `rows` and `sources`.
blocks: list[list[dict]] = []
for one in rows:
    last = blocks[-1] if blocks else []
    if not last or (last[0]["split"], last[0]["class"]) != (one["split"], one["class"]) or len(last) == MAX_IMAGES:
        blocks.append([])
    blocks[-1].append(one)


def frames(*fields: str) -> list[bytes]:
    return [frame("".join(line({field: row[field] for field in fields}) for row in block)) for block in blocks]


rows_frames = frames("path", "blake3", "length", "width", "height")
sources_frames = frames("pixels", "source", "source_blake3")
lengths = dict(zip(paths, map(len, lines)))
directory = frame("".join(
    line({
        "split": block[0]["split"], "class": block[0]["class"], "images": len(block),
        "sums": sum(lengths[row["path"]] for row in block), "rows": ref(rows_frame), "sources": ref(sources_frame),
    })
    for block, rows_frame, sources_frame in zip(blocks, rows_frames, sources_frames)))

# `tree`.
groups = [sums[at:at + GROUP] for at in range(0, len(sums), GROUP)]
tree = number(len(sums)) + b"".join(
    node_value(group, at * GROUP // CHUNK, len(groups) == 1) for at, group in enumerate(groups))

# Two packs: what an earlier version had, in two shards and with gaps, and what is new.
packs = []
for is_new in (False, True):
    places: dict[str, tuple[int, int, int, str]] = {}
    shard, end, shards = 0, 0, []
    for one in rows:
        image = one["blake3"]
        if image in places or (int(image[:2], 16) % 4 == 0) != is_new:
            continue
        if not is_new and len(places) == 200:
            shards.append(end + 40)
            shard, end = 1, 0
        if not is_new and int(image[2:4], 16) < 8:
            end += 300
        length = 60 + int(image[4:6], 16)
        places[image] = (shard, end, length, b3(f"frame of {image}".encode()))
        end += length
    shards.append(end + 40)
    head, texts = [], []
    for block in blocks:
        found, text, follows = 0, "", None
        for one in block:
            place = places.get(one["blake3"])
            if place is None:
                text += "null\n"
                continue
            found += 1
            shard, offset, length, of_frame = place
            where = {} if (shard, offset) == follows else {"shard": shard, "offset": offset}
            text += line(where | {"length": length, "frame": of_frame})
            follows = (shard, offset + length)
        texts.append(frame(text) if found else b"")
        head.append({"images": found, "places": ref(texts[-1])} if found else {"images": 0})
    shard_refs = [{"blake3": b3(f"shard {is_new} {at}".encode()), "length": length} for at, length in enumerate(shards)]
    objects = b"".join(texts)
    first = {"format": "isn-pack/2", "places": ref(objects), "shards": len(shards)}
    packs.append((frame("".join(map(line, [first, *shard_refs, *head]))), objects))

# The manifest. The recipe and the assignments are nowhere.
recipe = b"format = \"isn-recipe/2\"\n"
assignments = "source_id,class,split\n".encode()
table = {
    "assignments": (assignments, "isn-splits/1", "csv", False),
    "classes": (classes.encode(), "isn-classes/1", "csv", True),
    "index": (directory, "isn-index/2", "jsonl.zst", True),
    "recipe": (recipe, "isn-recipe/2", "toml", False),
    "rows": (b"".join(rows_frames), "isn-rows/1", "jsonl.zst", True),
    "sources": (b"".join(sources_frames), "isn-sources/1", "jsonl.zst", False),
    "tree": (tree, "isn-sums-tree/1", "bin", True),
}
manifest = json.dumps({
    "format": "isn-manifest/2", "name": "blocks", "version": "1.0", "title": "In blocks",
    "description": "Drawn by a formula.", "licence": "CC0-1.0", "authors": ["A. Tester"], "dataset": dataset,
    "pipeline": "isn-px/1", "source": "imagefolder", "images": len(rows),
    "bytes": sum(row["length"] for row in rows), "classes": len(COUNTS),
    "splits": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
    "objects": {
        name: ref(data) | {"format": format, "extension": extension, "required": required}
        for name, (data, format, extension, required) in table.items()
    },
}, indent=2) + "\n"


# Parts.
def chosen(path: str, selection: dict) -> bool:
    if path == "classes.csv":
        return True
    split, name, _ = path.split("/")
    return (split in selection.get("splits", [split]) and name in selection.get("classes", [name])
            and path in selection.get("images", [path]))


def folders(selection: dict) -> list[str]:
    if "images" in selection:
        return []
    if "classes" in selection:
        return [f"{split}/{name}/" for split in selection.get("splits", SPLITS) for name in selection["classes"]]
    return [f"{split}/" for split in selection.get("splits", [])]


def proof(selection: dict) -> bytes:
    shown = set()
    for at, path in enumerate(paths):
        if chosen(path, selection):
            shown |= {at - 1, at, at + 1}
    for folder in folders(selection):
        if not any(path.startswith(folder) for path in paths):
            at = sum(path.encode() < folder.encode() for path in paths)
            shown |= {at - 1, at}
    ends = [0]
    for one in lines:
        ends.append(ends[-1] + len(one))
    last = chunks_of(len(sums)) - 1
    chunks = {last}
    for at in shown & set(range(len(lines))):
        chunks |= set(range(ends[at] // CHUNK, (ends[at + 1] - 1) // CHUNK + 1))
    ranges: list[list[int]] = []
    for chunk in sorted(chunks):
        if ranges and ranges[-1][1] == chunk:
            ranges[-1][1] += 1
        else:
            ranges.append([chunk, chunk + 1])

    def below(first: int, data: bytes) -> bytes:
        """What is told of a node, which is above `data`, whose first chunk has this number."""
        count = chunks_of(len(data))
        if not chunks & set(range(first, first + count)):
            return b""
        if count == 1:
            return data
        middle = left_chunks(count)
        left, right = data[:middle * CHUNK], data[middle * CHUNK:]
        values = node_value(left, first) + node_value(right, first + middle)
        return values + below(first, left) + below(first + middle, right)

    return number(len(sums), len(ranges), *(end for pair in ranges for end in pair)) + below(0, sums)


images = [path for at, path in enumerate(paths) if at in (1, 2, 77, 300, 301, len(paths) - 1)]
moths = [path for path in paths if path.startswith(("train/moth/moth-1-", "val/moth/moth-3-", "val/ant/ant-1-"))]
PARTS = {
    # Of a class; of a split; of a class that has no image in a split, before others and after all.
    "class": {"classes": ["bee"]},
    "split": {"splits": ["test"]},
    "without": {"classes": ["bee-fly"]},
    "after-all": {"splits": ["val", "test"], "classes": ["zebra"]},
    # Of one image; of two classes that follow each other nowhere; no image at all.
    "one": {"classes": [LONG]},
    "two": {"classes": ["Wasp", "moth"]},
    "none": {"splits": ["test"], "classes": ["moth"]},
    # Of images; of those of them that are of a class. None of them is of that class in test.
    "images": {"images": images},
    "images-of-class": {"classes": ["moth"], "images": moths},
    # The line after the image ends a chunk; the one before it begins a chunk.
    "before-chunk": {"images": [paths[67]]},
    "at-chunk": {"images": [paths[70]]},
}

files = {
    "classes.csv": classes.encode(),
    "B3SUMS": sums,
    "tree.bin": tree,
    "index.jsonl.zst": directory,
    "rows.jsonl.zst": b"".join(rows_frames),
    "sources.jsonl.zst": b"".join(sources_frames),
    "manifest.json": manifest.encode(),
}
for name, (pack, places) in zip(("earlier", "new"), packs):
    files |= {f"pack-{name}.jsonl.zst": pack, f"places-{name}.jsonl.zst": places}
for name, selection in PARTS.items():
    about = {
        "format": "isn-tree/2", "name": "blocks", "version": "1.0", "title": "In blocks", "licence": "CC0-1.0",
        "dataset": dataset, "manifest": f"b3:{b3(manifest.encode())}", "pin": f"blocks@1.0#{dataset}",
        "registry": "https://registry.example", "signed_by": [], "selection": selection, "proof": True,
        "images": len(rows), "isn": "blocks.py",
    }
    selected = b"".join(one for path, one in zip(paths, lines) if chosen(path, selection))
    files |= {
        f"parts/{name}/ISN.json": (json.dumps(about, indent=2) + "\n").encode(),
        f"parts/{name}/B3SUMS.selected": selected,
        f"parts/{name}/B3SUMS.proof": proof(selection),
    }
# The lines of a delta against this version: a row that differs, one that is removed, one that is new.
facts = ("path", "blake3", "length", "width", "height")
changes = [
    {field: rows[3][field] for field in facts} | {"width": rows[3]["width"] + 1},
    {"removed": rows[10]["path"]},
    {field: rows[-1][field] for field in facts} | {
        "path": rows[-1]["path"].replace(".png", "-new.png"), "blake3": "11" * 32},
]
files["delta.jsonl"] = "".join(
    line(one) for one in [{"format": "isn-delta/1", "dataset": dataset, "index": ref(directory)}, *changes]).encode()
assert len(b"".join(lines[:69])) % CHUNK == 0
for name, data in files.items():
    (OUT / name).parent.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_bytes(data)
