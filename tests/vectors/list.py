"""Writes list.csv beside itself, from the words of docs/format.md alone and not from isn's code."""
import csv
import unicodedata
from pathlib import Path

EXTENSIONS = {"jpeg", "jpg", "png", "jfif", "jpe", "pjpeg"}
FOLDERS = {"Training": "train", "old/dev": "val", "Testing": "test"}
WORDS = {"Training": "train", "old/dev": "val", "Testing": "test"}

ROWS = [
    # what gives the split; the path and the word of the split in the list
    ("column", "cat/1.jpg", "Training"),
    ("column", "./cat//1.JPEG", "old/dev"),
    ("column", "cat\\1.png", "Testing"),
    ("column", "test/1.jpg", "Training"),
    ("column", "000bec180eb18c76", "Training"),
    ("column", "cafe\u0301/e\u0301te\u0301.jpg", "Training"),
    ("column", "犬/写真 1.JFIF", "Testing"),
    ("column", "scan.v2", "Training"),
    ("column", "cat/1.jpg", "Training set"),
    ("path", "cat/1.jpg", ""),
    ("path", "train/cat/1.jpg", ""),
    ("path", "./val/1.jpg", ""),
    ("path", "test\\1.jpg", ""),
    ("path", "Test/1.jpg", ""),
    ("path", "tests/1.jpg", ""),
    ("path", "cat/test/1.jpg", ""),
    ("path", "test.jpg", ""),
    ("folders", "Training/cat/1.jpg", ""),
    ("folders", "old/dev/test/1.jpg", ""),
    ("folders", "old/1.jpg", ""),
    ("folders", "Testing/1.jpg", ""),
    ("folders", "Testing.jpg", ""),
    ("folders", "test/1.jpg", ""),
]


def found(by: str, path: str, word: str) -> tuple[str, str]:
    """The split and the source id; both empty if the image is in no split."""
    names = [name for name in path.replace("\\", "/").split("/") if name not in ("", ".")]
    stem, dot, extension = names[-1].rpartition(".")
    if dot and extension.lower() in EXTENSIONS:
        names[-1] = stem
    names = [unicodedata.normalize("NFC", name) for name in names]
    if by == "column":
        split = WORDS.get(word)
        return (split, "/".join([split, *names])) if split else ("", "")
    folders = FOLDERS if by == "folders" else {split: split for split in ("train", "val", "test")}
    for folder, split in folders.items():
        way = folder.split("/")
        if len(way) < len(names) and names[: len(way)] == way:
            return split, "/".join([split, *names[len(way) :]])
    return ("", "") if by == "folders" else ("train", "/".join(names))


with open(Path(__file__).parent / "list.csv", "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["by", "path", "word", "split", "source_id"])
    for row in ROWS:
        rows.writerow([*row, *found(*row)])
