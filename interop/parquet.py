"""Writes parquet files in Hugging Face's ImageNet layout from unpacked folders, with pyarrow: rows shuffled,
100 in a row group.
usage: parquet.py SOURCE OUT CLASSES.csv VAL_WNIDS.csv"""
import csv
import pathlib
import random
import sys

import pyarrow
import pyarrow.parquet

source, out, classes, val = map(pathlib.Path, sys.argv[1:5])
wnids = sorted(row["wnid"] for row in csv.DictReader(open(classes)))
of_val = {row["filename"].split(".")[0]: row["wnid"] for row in csv.DictReader(open(val))}
image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
schema = pyarrow.schema([("image", image), ("label", pyarrow.int64())])


def rows(split):
    for file in sorted((source / split).rglob("*.JPEG")):
        wnid = of_val.get(file.stem, file.parent.name)
        # Both forms of names that are in use.
        path = f"{file.stem}_{wnid}.JPEG" if split == "train" else file.name
        yield {"image": {"bytes": file.read_bytes(), "path": path}, "label": wnids.index(wnid)}


def write(rows, name, compression):
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    pyarrow.parquet.write_table(table, out / "data" / name, row_group_size=100, compression=compression)


(out / "data").mkdir(parents=True)
random.seed(1)
for split, name, count in [("train", "train", 3), ("val", "validation", 2)]:
    shuffled = list(rows(split))
    random.shuffle(shuffled)
    for k in range(count):
        write(shuffled[k::count], f"{name}-{k:05}-of-{count:05}.parquet", ["snappy", "zstd"][k % 2])
test = {"image": {"bytes": b"x", "path": "ILSVRC2012_test_00000001.JPEG"}, "label": -1}
write([test], "test-00000-of-00001.parquet", "snappy")
