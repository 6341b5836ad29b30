#!/usr/bin/env python3
"""Makes the vectors of `isn audit labels`: probabilities and labels, and what cleanlab finds in them.

usage: make.py   (needs cleanlab==2.9.0, numpy and pyarrow; writes beside itself)

`double` has float64 in C order, `single` float32 in Fortran order and a class that no label has, `big-endian` >f8 with a
class of one image and one of two; `double-probs.parquet` is `double` as pyarrow writes it. No two scores that decide anything are equal, so every order is the only right one.
"""

import json
import pathlib

import cleanlab
import numpy as np
import pyarrow
import pyarrow.parquet
from cleanlab.filter import find_label_issues

FILTERS = [
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
]
RANKS = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]


def made(seed: int, rows: int, classes: int, noise: float, spread: float):
    """Labels of which a part is wrong, and probabilities that mostly know it."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, rows)
    wrong = rng.random(rows) < noise
    given = np.where(wrong, (true + rng.integers(1, classes, rows)) % classes, true)
    logits = rng.normal(0, spread, (rows, classes))
    logits[np.arange(rows), true] += 2.5
    logits[:, 0] += 0.4  # one class is predicted too often
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), given


def main():
    here = pathlib.Path(__file__).parent
    assert cleanlab.__version__ == "2.9.0"
    double, double_labels = made(1, 400, 6, 0.15, 1.0)
    single, single_labels = made(2, 300, 5, 0.2, 1.5)
    single_labels = np.where(single_labels == 3, 1, single_labels)
    single = np.asfortranarray(single.astype(np.float32))
    big, big_labels = made(3, 150, 9, 0.1, 1.2)
    big_labels = np.where((big_labels == 7) | (big_labels == 8), 2, big_labels)
    big_labels[5], big_labels[6], big_labels[7] = 7, 8, 8
    cases = {
        "double": (double, double_labels.astype("<i8")),
        "single": (single, single_labels.astype("u1")),
        "big-endian": (big.astype(">f8"), big_labels.astype(">i4")),
    }
    expected = {}
    for name, (probabilities, labels) in cases.items():
        np.save(here / f"{name}-probs.npy", probabilities)
        np.save(here / f"{name}-labels.npy", labels)
        native = probabilities.astype(probabilities.dtype.newbyteorder("="))
        found = {}
        for filter_by in FILTERS:
            found[filter_by] = {}
            for rank in RANKS:
                indices = find_label_issues(
                    labels.astype(np.int64), native, filter_by=filter_by, return_indices_ranked_by=rank, n_jobs=1
                )
                found[filter_by][rank] = [int(i) for i in indices]
        expected[name] = found
    columns = {f"class {k}": double[:, k] for k in range(double.shape[1])}
    pyarrow.parquet.write_table(pyarrow.table(columns), here / "double-probs.parquet")
    lines = json.dumps(expected, indent=1)
    (here / "expected.json").write_text(lines.replace(",\n    ", ", ").replace("[\n    ", "[").replace("\n   ]", "]") + "\n")


if __name__ == "__main__":
    main()
