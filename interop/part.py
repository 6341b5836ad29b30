#!/usr/bin/env python3
"""Checks a part with a proof (`B3SUMS.proof`), from the words of docs/format.md alone and not from isn's
code: that its files are those of the dataset hash, and that it has all of its selection.

usage: part.py TREE [--expect b3:HASH]    (uses Python's `blake3` package for the files, if it is there)
Without --expect, the dataset hash is what ISN.json says, which shows nothing but that the part fits together.
Exit code 1, with a message, if anything is not as it must be.
"""
import argparse
import json
import os
import re
import sys
from pathlib import Path

from blake3_tree import CHUNK, blake3, chunk_value, chunks_of, left_chunks, parent_value

SPLITS = ("train", "val", "test")
LINE = re.compile(rb"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,200})")
OF_NO_LINE = {"ISN.json", "B3SUMS.selected", "B3SUMS.proof"}


class Refused(Exception):
    pass


# What stands for a refusal, with files that are missing and notes that are none.
REFUSALS = (Refused, OSError, ValueError, KeyError, AttributeError, TypeError)


def must(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


class Proof:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0
        self.length, count = self.number(), self.number()
        chunks = chunks_of(self.length)
        must(0 < count <= chunks, f"B3SUMS.proof: {count} ranges of {chunks} chunks")
        self.ranges = [(self.number(), self.number()) for _ in range(count)]
        end = -1
        for first, after in self.ranges:
            must(end < first < after <= chunks, "B3SUMS.proof: ranges that touch, are empty or are not in order")
            end = after
        must(end == chunks, "B3SUMS.proof: its ranges do not end with the last chunk")
        self.chunks: dict[int, bytes] = {}
        self.hash = self.node(0, chunks, None)
        must(self.at == len(data), "B3SUMS.proof: more after its end")

    def take(self, length: int) -> bytes:
        must(self.at + length <= len(self.data), "B3SUMS.proof: cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def node(self, first: int, after: int, value: bytes | None) -> bytes:
        """Reads the node above these chunks, and gives its value, which is `value` unless it is the root."""
        if not any(start < after and first < end for start, end in self.ranges):
            return value
        is_root = value is None
        if after - first == 1:
            chunk = self.take(min(CHUNK, self.length - first * CHUNK))
            self.chunks[first] = chunk
            found = chunk_value(chunk, first, is_root)
        else:
            left, right = self.take(32), self.take(32)
            found = parent_value(left, right, is_root)
        # Before anything below it.
        must(is_root or found == value, f"B3SUMS.proof: a wrong value above the chunks {first} to {after}")
        if after - first > 1:
            middle = first + left_chunks(after - first)
            self.node(first, middle, left)
            self.node(middle, after, right)
        return found

    def lines(self) -> dict[int, bytes]:
        """The lines of which every byte is there, without LF, by the place of their first byte."""
        lines = {}
        for first, after in self.ranges:
            text = b"".join(self.chunks[chunk] for chunk in range(first, after))
            start = first * CHUNK
            at = 0
            end = text.find(b"\n")
            # What stands before the first line end is a part of a line, unless it has all of its digits.
            if first > 0 and not (end > 66 and text[64:66] == b"  "):
                at = end + 1
                if at == 0:
                    continue
            while (end := text.find(b"\n", at)) >= 0:
                lines[start + at] = text[at:end]
                at = end + 1
            if after == chunks_of(self.length):
                must(at == len(text), "B3SUMS: no line end at its end")
        return lines


def read_line(line: bytes, where: str) -> tuple[str, str]:
    """The path and the hash."""
    found = LINE.fullmatch(line)
    must(found is not None, f"{where}: not a line of it: {line!r}")
    path = found[2].decode()
    must(path == "classes.csv" or len(path.split("/")) == 3 and path.split("/")[0] in SPLITS,
         f"{where}: not the path of an image: {path}")
    must(all(one not in ("", ".", "..") for one in path.split("/")), f"{where}: not a path: {path}")
    return path, found[1].decode()


class Selection:
    def __init__(self, value: dict):
        must(isinstance(value, dict) and value and value.keys() <= {"splits", "classes", "images"},
             "ISN.json: no selection that this checker knows")
        must(all(isinstance(one, list) and all(isinstance(item, str) for item in one) for one in value.values()),
             "ISN.json: a selection that is no list of texts")
        self.splits, self.classes, self.images = map(value.get, ("splits", "classes", "images"))
        must(set(self.splits or []) <= set(SPLITS), "ISN.json: a split that there is not")

    def has(self, path: str) -> bool:
        if path == "classes.csv":
            return True
        return (self.images is None or path in self.images) and self.would_have(path)

    def would_have(self, path: str) -> bool:
        """Whether it has an image of this path, if it names no images or this one."""
        split, name, _ = path.split("/")
        return ((self.splits is None or split in self.splits) and (self.classes is None or name in self.classes))

    def folders(self) -> list[str]:
        if self.images is not None:
            return []
        if self.classes is not None:
            return [f"{split}/{name}/" for split in self.splits or SPLITS for name in self.classes]
        return [f"{split}/" for split in self.splits or []]


def file_hash(path: Path) -> str:
    data = path.read_bytes()
    try:
        from blake3 import blake3 as fast
    except ImportError:
        return blake3(data).hex()
    return fast(data).hexdigest()


def check(tree: Path, expected: str | None) -> str:
    note = json.loads((tree / "ISN.json").read_text(encoding="utf-8"))
    must(note.get("format") == "isn-tree/2" and note.get("proof") is True, "ISN.json: no part with a proof")
    dataset = note["dataset"]
    must(expected in (None, dataset), f"ISN.json is of {dataset}, not of {expected}")
    must(note["pin"].endswith(f"#{dataset}"), "ISN.json: its pin is of another dataset hash")
    selection = Selection(note.get("selection"))

    proof = Proof((tree / "B3SUMS.proof").read_bytes())
    must(f"b3:{proof.hash.hex()}" == dataset, f"B3SUMS.proof is of b3:{proof.hash.hex()}, not of {dataset}")
    lines = proof.lines()
    shown = {at: read_line(line, "B3SUMS") for at, line in sorted(lines.items())}
    paths = [path for path, _ in shown.values()]
    keys = [path.encode() for path in paths]
    must(all(one < other for one, other in zip(keys, keys[1:])), "B3SUMS: its lines are not sorted")

    text = (tree / "B3SUMS.selected").read_bytes()
    must(text.endswith(b"\n"), "B3SUMS.selected: no line end at its end")
    selected = [read_line(line, "B3SUMS.selected") for line in text[:-1].split(b"\n")]
    must(len(dict(selected)) == len(selected), "B3SUMS.selected: a path twice")
    must([path for path, _ in selected] == sorted(dict(selected), key=str.encode), "B3SUMS.selected: not sorted")
    must("classes.csv" in dict(selected), "B3SUMS.selected: no classes.csv")
    ends = {at + len(line) + 1 for at, line in lines.items()}
    places = {path: at for at, (path, _) in shown.items()}
    for path, digest in selected:
        must(path in places, f"B3SUMS.proof does not show {path}")
        at = places[path]
        must(shown[at][1] == digest, f"B3SUMS.selected: not the hash of {path}")
        after = at + len(lines[at]) + 1
        must(at == 0 or at in ends, f"B3SUMS.proof does not show what is before {path}")
        must(after == proof.length or after in lines, f"B3SUMS.proof does not show what is after {path}")
    for path in paths:
        must(path in dict(selected) or not selection.has(path), f"B3SUMS.selected lacks {path}")
    for path in selection.images or []:
        must(path in dict(selected) or not selection.would_have(path), f"B3SUMS.selected lacks {path}")
    for folder in selection.folders():
        if any(path.startswith(folder) for path in paths):
            continue
        # The line before it and the one after it, or the end, follow each other.
        at = sum(key < folder.encode() for key in keys)
        must(at > 0, f"B3SUMS.proof does not show that there is no {folder}")
        place = places[paths[at - 1]]
        end = place + len(lines[place]) + 1
        must(end == proof.length or end in lines, f"B3SUMS.proof does not show that there is no {folder}")

    found = set()
    for folder, folders, files in os.walk(tree):
        for name in folders + files:
            path = Path(folder) / name
            must(not path.is_symlink(), f"a link: {path}")
        found |= {(Path(folder) / name).relative_to(tree).as_posix() for name in files}
    for path, digest in selected:
        must(path in found, f"missing: {path}")
        must(file_hash(tree / path) == digest, f"not its BLAKE3: {path}")
    extra = sorted(found - dict(selected).keys() - OF_NO_LINE)
    must(not extra, f"not of this part: {', '.join(extra)}")
    return f"{tree}: {len(selected) - 1} images of {note['pin']}, with their proof"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--expect", metavar="b3:HASH")
    arguments = parser.parse_args()
    try:
        print(check(arguments.tree, arguments.expect))
    except REFUSALS as error:
        sys.exit(f"REFUSED: {error}")
