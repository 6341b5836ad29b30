"""The Python package against common ways to load images: one core unless stated, images of shortest side 160.

Random access, one image after another as NumPy arrays: torchvision's ImageFolder over JPEG (quality 95) of
the same pixels, and simplejpeg from memory. Shuffled batches of 64, cropped in the middle to 160 × 160:
WebDataset over a tar, MosaicML's MDS and Hugging Face `datasets`, all of the same JPEG. Contenders run in
turn, each in its own process, and time their own epochs, so starting Python and importing are not counted.
Run by a Python that has isn and all of them except `datasets`, which needs another NumPy than Debian's
PyTorch and is in WORK/venv-hf.

    python benches/python.py WORK --photos DIR
"""

import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path

BATCH = 64
SIDE = 160


def paths(work: Path) -> dict:
    return {"jpeg": work / "imagefolder", "wds": work / "images.tar", "mds": work / "mds", "hf": work / "hf"}


# Contenders: each returns a function that goes through all images once, in random order.


def load(work: Path, **options):
    import isn

    return isn.load("png@1.0", "train", registry=work / "registry", quiet=True, **options)


def random_access(dataset, take=lambda sample: sample[0]):
    import numpy as np

    order = list(range(len(dataset)))
    random.Random(0).shuffle(order)

    def run():
        total = 0
        for at in order:
            image = take(dataset[at])
            assert type(image) is np.ndarray
            total += image.shape[0]
        assert total >= SIDE * len(order)

    return run


def isn_single(work: Path, verify="once"):
    return random_access(load(work, verify=verify))


def isn_single_always(work: Path):
    return isn_single(work, "always")


def isn_single_never(work: Path):
    return isn_single(work, "never")


def isn_single_decoded(work: Path):
    return random_access(load(work, size=SIDE, cache="decoded"))


def squares(work: Path):
    """The same squares as an array in a file."""
    import numpy as np

    file = work / "squares.npy"
    if not file.exists():
        np.save(file, load(work, size=SIDE).to_numpy()[0])
    return np.load(file, mmap_mode="r")


def memmap_single(work: Path):
    import numpy as np

    return random_access(squares(work), lambda image: np.array(image))


def isn_batches_decoded(work: Path, layout="NHWC"):
    batches = load(work, size=SIDE, cache="decoded").batches(BATCH, threads=1, out="numpy", layout=layout)

    def run():
        assert sum(images.shape[0] for images, _ in batches) == len(batches._dataset)

    return run


def isn_batches_decoded_planar(work: Path):
    return isn_batches_decoded(work, "NCHW")


def memmap_batches(work: Path):
    import numpy as np

    array = squares(work)
    order = np.random.default_rng(0).permutation(len(array))

    def run():
        starts = range(0, len(order), BATCH)
        assert sum(len(array[order[start : start + BATCH]]) for start in starts) == len(order)

    return run


def imagefolder(work: Path):
    import numpy as np
    from torchvision.datasets import ImageFolder

    return random_access(ImageFolder(paths(work)["jpeg"]), lambda sample: np.asarray(sample[0]))


def simplejpeg(work: Path):
    import simplejpeg

    files = [path.read_bytes() for path in sorted(paths(work)["jpeg"].glob("*/*"))]
    return random_access(files, lambda file: simplejpeg.decode_jpeg(file))


def isn_batches(work: Path, threads=1, **options):
    batches = load(work).batches(BATCH, size=SIDE, threads=threads, out="numpy", layout="NCHW", **options)

    def run():
        assert sum(images.shape[0] for images, _ in batches) == len(batches._dataset)

    return run


def isn_batches_two(work: Path):
    return isn_batches(work, 2)


def isn_batches_random(work: Path):
    return isn_batches(work, crop="random", flip=True)


def collated(samples, count):
    """Batches of centre crops, collated as PyTorch does by default."""
    import numpy as np

    def crop(image):
        image = np.asarray(image)
        y, x = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
        return image[y : y + SIDE, x : x + SIDE].transpose(2, 0, 1)

    def run():
        seen, batch = 0, []
        for image, _ in samples():
            batch.append(crop(image))
            if len(batch) == BATCH:
                seen, batch = seen + len(np.stack(batch)), []
        seen += len(np.stack(batch)) if batch else 0
        assert seen == count, (seen, count)

    return run


def webdataset(work: Path):
    import webdataset as wds

    dataset = wds.WebDataset(str(paths(work)["wds"]), shardshuffle=False).shuffle(1000).decode("pil")
    dataset = dataset.to_tuple("jpg", "cls")
    return collated(lambda: iter(dataset), count(work))


def mds(work: Path):
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(paths(work)["mds"]), shuffle=True, batch_size=BATCH)
    return collated(lambda: ((sample["image"], sample["label"]) for sample in dataset), count(work))


def huggingface(work: Path):
    import datasets

    dataset = datasets.load_from_disk(str(paths(work)["hf"])).shuffle(seed=0)
    return collated(lambda: ((sample["image"], sample["label"]) for sample in dataset), count(work))


def interpreter(work: Path, name: str) -> str:
    return str(work / "venv-hf/bin/python") if name == "huggingface" else sys.executable


def make_huggingface(work: Path) -> None:
    import datasets

    samples, classes = labelled(work)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    table = {
        "image": [{"bytes": path.read_bytes(), "path": None} for path in samples],
        "label": [classes.index(path.parent.name) for path in samples],
    }
    datasets.Dataset.from_dict(table, features=features).save_to_disk(str(paths(work)["hf"]))


def labelled(work: Path) -> tuple[list[Path], list[str]]:
    samples = sorted(paths(work)["jpeg"].glob("*/*"))
    return samples, sorted({path.parent.name for path in samples})


def count(work: Path) -> int:
    return len(list(paths(work)["jpeg"].glob("*/*")))


CONTENDERS = {
    f.__name__: f
    for f in (
        isn_single,
        isn_single_always,
        isn_single_never,
        isn_single_decoded,
        memmap_single,
        imagefolder,
        simplejpeg,
        isn_batches,
        isn_batches_two,
        isn_batches_random,
        isn_batches_decoded,
        isn_batches_decoded_planar,
        memmap_batches,
        webdataset,
        mds,
        huggingface,
    )
}


def contend(name: str, work: Path, epochs: int) -> None:
    """In its own process: the seconds of each epoch, the first (which warms up and verifies) apart."""
    run = CONTENDERS[name](work)
    times = []
    for _ in range(epochs + 1):
        before, cpu = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - before, time.process_time() - cpu))
    print(json.dumps({"first": times[0], "rest": times[1:]}))


# Measured without a contest.

OPEN = """
import json, sys, time
import isn
begin = time.perf_counter()
dataset = isn.load({ref!r}, registry={registry!r}, quiet=True)
print(json.dumps([len(dataset), time.perf_counter() - begin]))
"""

MEMORY = """
import json
import numpy
def peak():
    # Not getrusage: that starts with the peak of the parent process.
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
before = peak()
import isn
dataset = isn.load("png@1.0", "train", registry={registry!r}, quiet=True)
for images, _ in dataset.batches(64, size=160, crop="random", flip=True, out="numpy", threads=2):
    pass
for _ in dataset:
    pass
print(json.dumps([before, peak()]))
"""


def python(code: str, cores="0"):
    out = subprocess.run(["taskset", "-c", cores, sys.executable, "-c", code], check=True, capture_output=True)
    return json.loads(out.stdout.splitlines()[-1])


def prepare(args) -> None:
    """The same pixels in every form, made once."""
    import photographs
    from PIL import Image

    work, form = args.work, paths(args.work)
    os.environ["ISN_HOME"] = str(work / "home")
    if (work / "done").exists():
        return
    photos = photographs.make(args.isn, work, "photos", args.count or 2000, 320, args.photos)

    def isn(*arguments):
        subprocess.run([str(a) for a in (args.isn, *arguments)], check=True, stdout=subprocess.DEVNULL)

    isn("key", "new", "bench", "--no-passphrase")
    (work / "png.toml").write_text(photographs.recipe("png", '"png"'))
    isn("build", work / "png.toml", "--source", photos, "--out", work / "out", "--quiet")
    isn("publish", work / "out", "--registry", work / "registry", "--key", "bench", "--quiet")
    public = subprocess.run([args.isn, "key", "show", "bench"], check=True, capture_output=True, text=True).stdout
    isn("trust", "add", work / "registry", public.strip().splitlines()[-1])
    isn("pull", "png@1.0", "--registry", work / "registry", "--to", work / "tree", "--quiet")
    for path in sorted((work / "tree/train").glob("*/*.png")):
        to = form["jpeg"] / path.parent.name / (path.stem + ".jpg")
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(to, quality=95)
    samples, classes = labelled(work)
    with tarfile.open(form["wds"], "w") as tar:
        for at, path in enumerate(samples):
            for name, data in [("jpg", path.read_bytes()), ("cls", str(classes.index(path.parent.name)).encode())]:
                entry = tarfile.TarInfo(f"{at:06}.{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    from streaming import MDSWriter

    with MDSWriter(out=str(form["mds"]), columns={"image": "jpeg", "label": "int"}) as out:
        for path in samples:
            out.write({"image": Image.open(path), "label": classes.index(path.parent.name)})
    subprocess.run([interpreter(work, "huggingface"), __file__, "--make-hf", work], check=True)
    large(args)
    (work / "done").touch()


def large(args) -> None:
    """A version of 65,000 tiny images: it opens in the same time as one of large images."""
    from PIL import Image

    source = args.work / "many"
    chance = random.Random(1)
    for at in range(65_000):
        path = source / "train" / f"n{at % 50:08}" / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (8, 8), chance.randbytes(192)).save(path)
    classes = "".join(f'\n[[class]]\nid = "n{n:08}"\nlabel = "class {n}"\n' for n in range(50))
    import photographs

    head = photographs.recipe("many", '"png"').split("\n[[class]]")[0]
    recipe = args.work / "many.toml"
    recipe.write_text(head.replace("size = 160", "size = 8") + classes)
    for command in (
        ["build", recipe, "--source", source, "--out", args.work / "many-out", "--quiet"],
        ["publish", args.work / "many-out", "--registry", args.work / "registry", "--key", "bench", "--quiet"],
    ):
        subprocess.run([str(a) for a in (args.isn, *command)], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    import arguments
    from contest import Row, print_head

    args = arguments.read(__doc__)
    prepare(args)
    results: dict[str, list] = {name: [] for name in CONTENDERS}
    first: dict[str, list] = {name: [] for name in CONTENDERS}
    for turn in range(args.rounds):
        # Every other round is reversed, so that no contender always follows the same one.
        for name in list(CONTENDERS)[:: 1 if turn % 2 == 0 else -1]:
            cores = "0,1" if name.endswith("_two") else "0"
            command = ["taskset", "-c", cores, interpreter(args.work, name), __file__, "--contend", name, str(args.work)]
            # Other libraries' threads would take turns on the one core.
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, capture_output=True, env=env)
            times = json.loads(done.stdout.splitlines()[-1])
            first[name].append(times["first"])
            results[name] += times["rest"]
    images = count(args.work)

    def row(what, ours, theirs, target=None, cpu=True, table=results):
        def of(name, which):
            return statistics.median(time[which] for time in table[name])

        note = ", ".join(f"{n} {images / of(n, 0):,.0f}/s ({images / of(n, 1):,.0f})" for n in (ours, theirs))
        ratio = of(theirs, 1) / of(ours, 1) if cpu else None
        text = Row(what, of(theirs, 0) / of(ours, 0), target or 0, True, cpu=ratio, note=note).text()
        print(text if target else text.replace(" >= 0.00x | pass |", " | |"), flush=True)

    print(f"{images} images. ", end="")
    print_head()
    row("single images, rate against torchvision ImageFolder", "isn_single", "imagefolder", 2.5)
    row("single images, rate against simplejpeg from memory", "isn_single", "simplejpeg", 1.4)
    row("single images, verify always, against ImageFolder", "isn_single_always", "imagefolder")
    row("single images, verify always, against simplejpeg", "isn_single_always", "simplejpeg")
    row("single images, verify never, against simplejpeg", "isn_single_never", "simplejpeg")
    row("single images, first epoch, which verifies, against ImageFolder's", "isn_single", "imagefolder", table=first)
    for theirs in ("webdataset", "mds", "huggingface"):
        row(f"batches of 64, rate against {theirs}", "isn_batches", theirs, 3.0)
    row("batches, random crops resampled and flips, against webdataset without", "isn_batches_random", "webdataset")
    row("batches, rate of two threads against one", "isn_batches_two", "isn_batches", 1.8, cpu=False)
    registry = str(args.work / "registry")
    before, after = python(MEMORY.format(registry=registry), "0,1")
    row("single images, decoded, against isn without", "isn_single_decoded", "isn_single")
    row("single images, decoded, against copies from a memmap", "isn_single_decoded", "memmap_single")
    row("batches, decoded, against isn without", "isn_batches_decoded", "isn_batches")
    row("batches, decoded, against an indexed memmap", "isn_batches_decoded", "memmap_batches")
    row("batches, decoded, planar, against isn without", "isn_batches_decoded_planar", "isn_batches")
    print(Row("peak memory above the interpreter with NumPy", (after - before) / 1e6, 200, False, "MB").text())
    code = OPEN.format(ref="many@1.0", registry=registry)
    shutil.rmtree(args.work / "home/cache/tables", ignore_errors=True)
    opened = [python(code) for _ in range(6)]
    note = f"{opened[0][0]} images; the first time, which makes the table, {1000 * opened[0][1]:.0f} ms"
    median = statistics.median(1000 * seconds for _, seconds in opened[1:])
    print(Row("opening 65,000 images", median, 100, False, "ms", note=note).text())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contend"]:
        contend(sys.argv[2], Path(sys.argv[3]), 3)
    elif sys.argv[1:2] == ["--make-hf"]:
        make_huggingface(Path(sys.argv[2]))
    else:
        main()
