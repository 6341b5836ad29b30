"""Writes names.csv beside itself, from the words of docs/format.md alone and not from isn's code. Needs `b3sum`."""
import csv
import re
import subprocess
import unicodedata
from pathlib import Path

PATHS = [
    # below a split, its folder and the path in it; "" without splits
    ("train", "ant/ant_1"),
    ("train", "Golden Delicious/IMG 0001 (2)"),
    ("val", "Golden Delicious/IMG 0001 (2)"),
    ("", "cafe\u0301/e\u0301te\u0301"),  # decomposed, as macOS writes names
    ("", "caf\u00e9/\u00e9t\u00e9"),  # composed: the same image
    ("", "σκύλος/φωτογραφία 1"),
    ("test", "犬/写真"),
    ("", "birds/\U0001f989 owl \U0001f469\u200d\U0001f52c"),
    ("train", "long/" + "x" * 300),
    ("train", "long/" + "ab " * 100 + "y"),
    ("", "ports/con"),
    ("", "ports/AUX.2"),
    ("train", "a/1/0001"),
    ("train", "a/2/0001"),
    ("", "odd/a,\"b\"='c'"),
    ("", "odd/..hidden.."),
    ("", "odd/_-_"),
    ("", "한국어/\u1112\u1161\u11ab"),  # conjoining jamo, which compose to one syllable
]


def hash_of(text: str) -> str:
    return subprocess.run(["b3sum", "--no-names"], input=text.encode(), capture_output=True, check=True).stdout.decode()


def stem_of(source_id: str) -> str:
    words = re.sub("[^A-Za-z0-9_]+", "-", source_id.rsplit("/", 1)[-1]).strip("-")[:40]
    return (words + "-" if words else "") + hash_of(source_id)[:16]


with open(Path(__file__).parent / "names.csv", "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["split", "path", "source_id", "stem"])
    for split, path in PATHS:
        p = unicodedata.normalize("NFC", path)
        source_id = f"{split}/{p}" if split else p
        rows.writerow([split, path, source_id, stem_of(source_id)])
