#!/usr/bin/env python3
"""`isn audit labels` flags what cleanlab 2.9.0 flags: every filter and ranking, on generated probabilities of
many shapes.

usage: labels.py ISN WORK   (needs cleanlab==2.9.0)

cleanlab uses NumPy's argsort, which by default orders equal numbers differently on different processors;
where counts are rounded, that decides what is flagged. Here argsort is told to keep their order, as isn does.
"""

import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from cleanlab.filter import find_label_issues

FILTERS = [
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
]
RANKS = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]


def cases():
    """Yields name, probabilities, labels."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows, classes = int(rng.integers(20, 900)), int(rng.integers(2, 40))
        true = rng.integers(0, classes, rows)
        wrong = rng.random(rows) < rng.choice([0.02, 0.1, 0.3])
        given = np.where(wrong, rng.integers(0, classes, rows), true)
        if seed % 5 == 1:  # a class without labels, and one with few
            given[given == classes - 1] = 0
            given[rng.random(rows) < 0.5] = 1
        if len(set(given)) < 2:
            continue
        logits = rng.normal(0, rng.choice([0.3, 1.0, 3.0]), (rows, classes))
        logits[np.arange(rows), true] += rng.choice([1.0, 3.0])
        probabilities = np.exp(logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        if seed % 4 == 2:
            probabilities = probabilities.astype(np.float32)
        if seed % 3 == 2:
            probabilities = np.asfortranarray(probabilities)
        yield f"seed {seed}: {rows}x{classes} {probabilities.dtype}", probabilities, given


def main() -> int:
    isn, work = sys.argv[1], pathlib.Path(sys.argv[2])
    warnings.filterwarnings("ignore")
    argsort = np.argsort
    np.argsort = lambda numbers: argsort(numbers, kind="stable")
    compared = differ = 0
    for name, probabilities, labels in cases():
        np.save(work / "p.npy", probabilities)
        np.save(work / "l.npy", labels)
        for filter_by in FILTERS:
            for rank in RANKS:
                expected = find_label_issues(
                    labels, probabilities, filter_by=filter_by, return_indices_ranked_by=rank, n_jobs=1
                ).tolist()
                command = [isn, "audit", "labels", "--probs", work / "p.npy", "--labels", work / "l.npy"]
                command += ["--filter", filter_by, "--rank", rank, "--json"]
                ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                flagged = json.loads(ran.stdout.splitlines()[-1]).get("flagged", [])
                same = flagged == expected
                if not same:
                    lacks, more = set(expected) - set(flagged), set(flagged) - set(expected)
                    print(f"differs: {name}, {filter_by}, {rank}: lacks {sorted(lacks)[:5]}, has {sorted(more)[:5]}")
                compared, differ = compared + 1, differ + (not same)
    print(f"cleanlab: {compared} findings compared, {differ} differ")
    return 1 if differ or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
