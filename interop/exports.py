#!/usr/bin/env python3
"""Exports of `isn export`, read by their libraries: every image's label and pixels must be the index's.

    exports.py ISN REGISTRY REF WORK [READER...]

REGISTRY is the folder of the registry from which isn gets REF (set by ISN_REGISTRY, or the one in the
binary). Exports REF into WORK once for each format, and reads each export with the named readers, or with all
that are installed; fails if a named one is missing. Needs numpy, pillow, blake3 and the program zstd.
"""

import csv
import importlib.util
import json
import os
import struct
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import blake3
import numpy as np
from PIL import Image

SIZE = 48
PACKAGES = {"streaming": "mosaicml-streaming", "tensorflow": "tensorflow_cpu"}


def digest(image):
    """The pixel digest of an array or a PIL image, as defined in docs/format.md."""
    pixels = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3, (pixels.dtype, pixels.shape)
    height, width, _ = pixels.shape
    return blake3.blake3(struct.pack("<II", width, height) + pixels.tobytes()).hexdigest()


class Version:
    """What an export must contain according to the index, and where the export is."""

    def __init__(self, isn, registry, ref, work):
        def run(*arguments):
            done = subprocess.run([isn, *arguments], stdout=subprocess.PIPE, check=True, text=True)
            return json.loads(done.stdout.splitlines()[-1])

        def stored(digest):
            (path,) = (Path(registry) / "objects" / digest[:2]).glob(digest + "*")
            return path

        self.run, self.ref, self.work = run, ref, Path(work)
        info = run("info", ref, "--json")
        self.name, self.version, self.dataset, self.pin = (info[key] for key in ("name", "version", "dataset", "pin"))
        objects = json.loads(stored(info["manifest"].removeprefix("b3:")).read_bytes())["objects"]
        index = subprocess.run(["zstd", "-dcq", stored(objects["index"]["blake3"])], stdout=subprocess.PIPE, check=True)
        rows = [json.loads(line) for line in index.stdout.splitlines()]
        classes = stored(objects["classes"]["blake3"]).read_text().splitlines()
        self.classes = [row["id"] for row in csv.DictReader(classes)]
        self.rows = {row["path"]: row for row in rows if "path" in row}
        self.splits = sorted({row["split"] for row in self.rows.values()})
        self.is_png = all(path.endswith(".png") for path in self.rows)

    def export(self, form, *more):
        to = self.work / f"{self.name}-{form}"
        if not to.exists():
            self.run("export", self.ref, "--as", form, "--to", str(to), "--json", "-q", *more)
        return to

    def paths(self, split):
        """The paths of a split in the order of the index."""
        return [path for path, row in self.rows.items() if row["split"] == split]

    def label(self, path):
        return self.classes.index(self.rows[path]["class"])

    def shards(self, split):
        """The minimum number of shards of an export with shards of 1 MB."""
        return -(-sum(row["length"] for row in self.rows.values() if row["split"] == split) // 1_100_000)

    def pixels(self, path):
        """The digest that a reader must reach. JPEG decoders differ, so for JPEG it is Pillow's."""
        if self.is_png:
            return self.rows[path]["pixels"]
        file = self.export("imagefolder") / path
        assert blake3.blake3(file.read_bytes()).hexdigest() == self.rows[path]["blake3"]
        return digest(Image.open(file))

    def pixels_of(self, path, file, decode):
        """The same for a reader with its own decoder, which also returns the file's bytes."""
        assert blake3.blake3(file).hexdigest() == self.rows[path]["blake3"]
        return digest(decode(file)) if self.is_png else self.pixels(path)

    def compare(self, split, found):
        """`found`: path, label and pixel digest of each image of a split; paths may all be None."""
        found, want = list(found), self.paths(split)
        assert len(found) == len(want) > 0, (split, len(found), len(want))
        expected = [(path, self.label(path), self.pixels(path)) for path in want]
        if found[0][0] is None:
            found, expected = ([triple[1:] for triple in triples] for triples in (found, expected))
        assert sorted(found) == sorted(expected), split


def imagefolder_torchvision(v):
    from torchvision.datasets import ImageFolder

    for split in v.splits:
        root = v.export("imagefolder") / split
        folder = ImageFolder(root)
        assert folder.classes == v.classes
        paths = [f"{split}/{Path(path).relative_to(root)}" for path, _ in folder.samples]
        v.compare(split, ((path, label, digest(image)) for path, (image, label) in zip(paths, folder)))


def webdataset_webdataset(v):
    import webdataset

    for split in v.splits:
        tars = sorted(map(str, v.export("webdataset", "--shard-size", "1MB").glob(f"{split}-*.tar")))
        assert len(tars) >= v.shards(split)
        samples = webdataset.WebDataset(tars, shardshuffle=False).decode("pil").to_tuple("png;jpg", "cls", "json")
        found = []
        for image, label, more in samples:
            assert more["dataset"] == v.dataset and more["blake3"] == v.rows[more["path"]]["blake3"]
            found.append((more["path"], label, digest(image)))
        v.compare(split, found)
        assert [path for path, _, _ in found] != v.paths(split), "not mixed"


def tar_webdataset(v):
    """GNU tar and Python's tarfile read the tars as intended."""
    import tarfile

    for tar in v.export("webdataset", "--shard-size", "1MB").glob("*.tar"):
        names = subprocess.run(["tar", "-tf", tar], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
        assert names == tarfile.open(tar).getnames() and len(names) % 3 == 0


def parquet_pyarrow(v):
    import io

    import pyarrow.parquet

    for split in v.splits:
        (file,) = v.export("parquet").glob(f"{split}-*.parquet")
        parquet = pyarrow.parquet.ParquetFile(file)
        assert parquet.schema_arrow.metadata[b"isn.pin"].decode() == v.pin
        assert parquet.schema_arrow.metadata[b"isn.dataset"].decode() == v.dataset
        found = []
        for row in parquet.read().to_pylist():
            assert row["image"]["path"] == row["path"]
            assert blake3.blake3(row["image"]["bytes"]).hexdigest() == v.rows[row["path"]]["blake3"]
            found.append((row["path"], row["label"], digest(Image.open(io.BytesIO(row["image"]["bytes"])))))
        v.compare(split, found)
        assert [path for path, _, _ in found] == v.paths(split)


def hf_datasets(v):
    import datasets

    cache = str(v.work / "hf-cache")
    # Loaded by its card, and from the parquet files alone, which describe their columns in the same way.
    card = datasets.load_dataset(str(v.export("hf")), cache_dir=cache)
    files = {split: str(v.export("parquet") / f"{split}-*.parquet") for split in v.splits}
    for loaded in card, datasets.load_dataset("parquet", data_files=files, cache_dir=cache):
        assert sorted(loaded) == v.splits
        for split in v.splits:
            assert loaded[split].features["label"].names == v.classes
            v.compare(split, ((row["path"], row["label"], digest(row["image"])) for row in loaded[split]))
    streamed = datasets.load_dataset(str(v.export("hf")), split=v.splits[0], streaming=True)
    v.compare(v.splits[0], ((row["path"], row["label"], digest(row["image"])) for row in streamed))
    assert v.pin in (v.export("hf") / "README.md").read_text()


def npz_numpy(v):
    with np.load(v.export("npz", "--size", str(SIZE)) / f"{v.name}-{v.version}.npz") as arrays:
        assert arrays["classes"].tolist() == v.classes
        assert str(arrays["pin"]) == v.pin and str(arrays["dataset"]) == v.dataset
        for split in v.splits:
            images, labels, paths = (arrays[f"{split}_{what}"] for what in ("images", "labels", "paths"))
            assert images.shape == (len(paths), SIZE, SIZE, 3) and images.dtype == np.uint8 and labels.dtype == np.int64
            assert paths.tolist() == v.paths(split) and labels.tolist() == [v.label(path) for path in v.paths(split)]
            # Images of exactly this size have no pixel changed.
            for image, path in zip(images, paths):
                row = v.rows[path]
                is_whole = row["width"] == row["height"] == SIZE and v.is_png
                assert not is_whole or digest(image) == row["pixels"]


def npz_isn(v):
    """Reads as the Python package does, which is tested against a reference."""
    import isn

    with np.load(v.export("npz", "--size", str(SIZE)) / f"{v.name}-{v.version}.npz") as arrays:
        for split in v.splits:
            images, labels = isn.load(v.ref, split).to_numpy(size=SIZE)
            assert np.array_equal(images, arrays[f"{split}_images"]) and np.array_equal(labels, arrays[f"{split}_labels"])


def tfrecord_tensorflow(v):
    import tensorflow as tf

    kinds = {"image": tf.string, "label": tf.int64, "path": tf.string}
    features = {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
    for split in v.splits:
        files = sorted(map(str, v.export("tfrecord", "--shard-size", "1MB").glob(f"*-{split}.tfrecord-*")))
        assert len(files) >= v.shards(split)
        found = []
        for record in tf.data.TFRecordDataset(files):
            example = tf.io.parse_single_example(record, features)
            path, file = example["path"].numpy().decode(), example["image"].numpy()
            decode = lambda file: tf.io.decode_image(file, channels=3).numpy()
            found.append((path, int(example["label"]), v.pixels_of(path, file, decode)))
        v.compare(split, found)


def tfrecord_tensorflow_datasets(v):
    import tensorflow_datasets

    builder = tensorflow_datasets.builder_from_directory(str(v.export("tfrecord", "--shard-size", "1MB")))
    assert builder.info.features["label"].names == v.classes and v.pin in builder.info.description
    for split in v.splits:
        as_files = {"image": tensorflow_datasets.decode.SkipDecoding()}
        files = tensorflow_datasets.as_numpy(builder.as_dataset(split=split, decoders=as_files))
        found = []
        for file, example in zip(files, tensorflow_datasets.as_numpy(builder.as_dataset(split=split))):
            path = example["path"].decode()
            assert path == file["path"].decode()
            pixels = v.pixels_of(path, file["image"], lambda _: example["image"])
            found.append((path, int(example["label"]), pixels))
        v.compare(split, found)


def mds_streaming(v):
    import streaming

    for split in v.splits:
        local = v.export("mds", "--shard-size", "1MB") / split
        index = json.loads((local / "index.json").read_text())
        assert index["isn"] == {"dataset": v.dataset, "pin": v.pin}
        assert len(index["shards"]) >= v.shards(split)
        samples = streaming.StreamingDataset(local=str(local), batch_size=1, shuffle=False)
        v.compare(split, ((s["path"], s["label"], digest(s["image"])) for s in samples))


def mds_written(v):
    """MosaicML's own writer makes the same shards, byte for byte."""
    import streaming

    for split in v.splits:
        ours = v.export("mds", "--shard-size", "1MB") / split
        for shard in json.loads((ours / "index.json").read_text())["shards"]:
            # One shard, whatever the limit.
            theirs = v.work / f"mds-written-{split}-{shard['raw_data']['basename']}"
            reader = streaming.base.format.mds.reader.MDSReader.from_json(str(ours), "", dict(shard))
            columns = dict(zip(shard["column_names"], shard["column_encodings"]))
            columns["image"] = "bytes"
            with streaming.MDSWriter(out=str(theirs), columns=columns, size_limit=None) as writer:
                for at in range(shard["samples"]):
                    sample = reader.decode_sample(reader.get_sample_data(at))
                    image = (v.export("imagefolder") / sample["path"]).read_bytes()
                    writer.write({**sample, "image": image})
            (made,) = theirs.glob("*.mds")
            # The header before the samples differs in the name of the image's encoding and the limit.
            samples = lambda data: data[int.from_bytes(data[4:8], "little") :]
            assert samples(made.read_bytes()) == samples((ours / shard["raw_data"]["basename"]).read_bytes()) != b""


def croissant_mlcroissant(v):
    import mlcroissant

    described = v.export("croissant") / "croissant.json"
    dataset = mlcroissant.Dataset(jsonld=str(described))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors, issues.report()
    for warning in issues.warnings:
        print(f"   its warning: {warning}")
    raw = json.loads(described.read_text())
    assert raw["identifier"] == v.dataset and v.pin in raw["description"]
    text = lambda value: value.decode() if isinstance(value, bytes) else value
    classes = [text(record["classes/id"]) for record in dataset.records("classes")]
    assert classes == v.classes
    assert [text(record["splits/name"]) for record in dataset.records("splits")] == v.splits
    found = {split: [] for split in v.splits}
    for record in dataset.records("images"):
        path, label = text(record["images/path"]), record["images/index"]
        assert v.classes[label] == text(record["images/class"])
        assert text(record["images/blake3"]) == v.rows[path]["blake3"]
        found[text(record["images/split"])].append((path, label, digest(record["images/image"])))
    for split in v.splits:
        v.compare(split, found[split])


READERS = {
    name: check
    for name, check in globals().items()
    if name.split("_")[0] in ("imagefolder", "webdataset", "tar", "parquet", "hf", "npz", "tfrecord", "mds", "croissant")
    and callable(check)
}
NEEDS = {"tar_webdataset": "tarfile", "mds_written": "streaming"}


def main():
    isn, registry, ref, work, *named = sys.argv[1:]
    os.makedirs(work, exist_ok=True)
    v = Version(isn, registry, ref, work)
    for name, check in READERS.items():
        module = NEEDS.get(name) or name.split("_", 1)[1]
        if named and name not in named:
            continue
        if not named and importlib.util.find_spec(module) is None:
            print(f"NOT RUN {name}: no {module} here")
            continue
        check(v)
        try:
            of = metadata.version(PACKAGES.get(module, module))
        except metadata.PackageNotFoundError:
            of = getattr(sys.modules[module], "__version__", "")
        print(f"ok {name} ({module} {of})".replace(" )", ")"), flush=True)


main()
