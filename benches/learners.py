"""How well the learners of `isn audit labels` rank flipped labels, beside cleanlab and scikit-learn, and in
how much CPU time. 1, 5, 25 and 50% of the labels are flipped to another class at random; average precision is
over all rows, ranked by self-confidence.

usage: learners.py WORK --isn PROGRAM --data NAME=EMBEDDINGS.npy,LABELS.npy [--data ...] [--seeds N]
                    [--learners NAME ...]

Needs NumPy, scikit-learn and cleanlab. EMBEDDINGS has a row of float32 for each image, LABELS an integer.
"""

import argparse
import json
import os
import resource
import subprocess
import time
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

FRACTIONS = (0.01, 0.05, 0.25, 0.5)
LEARNERS = ("both", "ridge", "logistic", "neighbours")
PEERS = ("cleanlab with logistic regression", "20-NN")


def average_precision(scores, wrong):
    """The mean of the precisions at each wrong label, the least confident first."""
    hits = wrong[np.argsort(scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return precision[hits].mean()


def flipped(labels, fraction, seed):
    random = np.random.default_rng(seed)
    at = random.choice(len(labels), round(fraction * len(labels)), replace=False)
    given, classes = labels.copy(), labels.max() + 1
    given[at] = (given[at] + random.integers(1, classes, len(at))) % classes
    wrong = np.zeros(len(labels), bool)
    wrong[at] = True
    return given, wrong


def by_isn(program, work, embeddings, given, learner):
    """Returns the self-confidence of each row, and the CPU seconds."""
    np.save(work / "given.npy", given)
    command = [program, "audit", "labels", "--embeddings", embeddings, "--labels", work / "given.npy",
               "--learner", learner, "--scores", work / "scores.csv", "--json", "--quiet"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode not in (0, 8):
        raise SystemExit(f"isn ended with {ran.returncode}: {ran.stdout}")
    json.loads(ran.stdout.splitlines()[-1])
    with open(work / "scores.csv") as file:
        columns = file.readline().strip().split(",")
        rows = [line.strip().split(",") for line in file]
    score = columns.index("score")
    row = columns.index("row")
    out = np.zeros(len(given))
    out[[int(line[row]) for line in rows]] = [float(line[score]) for line in rows]
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_peer(name, x, given):
    start = time.process_time()
    if name == "20-NN":
        model, method = KNeighborsClassifier(20, metric="cosine"), "predict_proba"
        probabilities = cross_val_predict(model, x, given, cv=5, method=method)
    else:
        # Rows of length 1, which do better here than standardised columns or the embeddings as they are.
        rows = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        model = LogisticRegression(max_iter=1000)
        probabilities = cross_val_predict(model, rows, given, cv=5, method="predict_proba")
        find_label_issues(given, probabilities)
    scores = get_label_quality_scores(given, probabilities, method="self_confidence")
    return scores, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--isn", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learners", nargs="+", default=[*LEARNERS, *PEERS])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    os.environ["ISN_HOME"] = str(args.work / "home")
    head = " | ".join(f"{fraction:.0%}" for fraction in FRACTIONS)
    print(f"| data | learner | {head} | CPU |\n|---|---|{'---|' * len(FRACTIONS)}---|", flush=True)
    for data in args.data:
        name, files = data.split("=")
        embeddings, labels = files.split(",")
        x, labels = np.load(embeddings), np.load(labels)
        for learner in args.learners:
            means, cpu = [], []
            for fraction in FRACTIONS:
                runs = []
                for seed in range(args.seeds):
                    given, wrong = flipped(labels, fraction, seed)
                    if learner in LEARNERS:
                        scores, seconds = by_isn(args.isn, args.work, embeddings, given, learner)
                    else:
                        scores, seconds = by_peer(learner.split()[0], x, given)
                    runs.append(average_precision(scores, wrong))
                    cpu.append(seconds)
                means.append(f"{np.mean(runs):.3f}")
            print(f"| {name} | {learner} | {' | '.join(means)} | {np.median(cpu):.1f} s |", flush=True)


if __name__ == "__main__":
    main()
