"""The processor time of an epoch's loading, from raw-size JPEGs and from a version whose images have the size
that training needs.

Contenders, each in a process of its own, in turn: torchvision's ImageFolder over the raw files, with
Resize and CenterCrop to 224 pixels, in a DataLoader with two workers; and `isn.load(...).batches` of a version of the
same files, shortest side 224, as it is and with decoded images (`cache="decoded"`). All give shuffled
batches of 64 as uint8 tensors of 3 x 224 x 224. A measurement is as many epochs as give 2,000 images, after
one that warms the page cache and verifies; time is that of the process and of its workers.

    python benches/epoch.py WORK --photos DIR

A DIR that has a folder for each class in `train` is taken as it is; of others, 2,000 crops of about 500 x 375
pixels are made (photographs.py). Run by a Python that has isn, PyTorch and torchvision.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH, SIDE, IMAGES, WORKERS = 64, 224, 2000, 2


def imagefolder(raw: Path, work: Path):
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

    crop = Compose([Resize(SIDE), CenterCrop(SIDE), PILToTensor()])
    pictures = ImageFolder(str(raw / "train"), crop)
    # The workers go on from epoch to epoch: starting them is not counted.
    loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    return len(pictures), lambda epoch: loader


def isn_batches(raw: Path, work: Path, **options):
    import isn

    pictures = isn.load(work / "version", "train", size=SIDE, quiet=True, **options)
    return len(pictures), lambda epoch: pictures.batches(BATCH, epoch=epoch, threads=WORKERS)


def isn_decoded(raw: Path, work: Path):
    return isn_batches(raw, work, cache="decoded")


CONTENDERS = {f.__name__: f for f in (imagefolder, isn_batches, isn_decoded)}


def processor_time() -> float:
    """Of this process and its workers, which still run."""
    here = resource.getrusage(resource.RUSAGE_SELF)
    total, ticks = here.ru_utime + here.ru_stime, os.sysconf("SC_CLK_TCK")
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = process.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def contend(name: str, raw: Path, work: Path) -> None:
    count, epoch = CONTENDERS[name](raw, work)
    epochs = -(-IMAGES // count)

    def run(numbers) -> int:
        return sum(len(images) for number in numbers for images, _ in epoch(number))

    run(range(1))
    wall, cpu = time.perf_counter(), processor_time()
    seen = run(range(1, 1 + epochs))
    wall, cpu = time.perf_counter() - wall, processor_time() - cpu
    assert seen == epochs * count
    print(json.dumps([1e6 * cpu / seen, 1e6 * wall / seen, count]))


def recipe(raw: Path) -> str:
    head = f"""format = "isn-recipe/1"
name = "pictures"
version = "1.0"
title = "Pictures"
description = "To measure with"
licence = "none: never published"
authors = ["nobody"]

[source]
kind = "imagefolder"

[image]
size = {SIDE}
filter = "catmullrom"
encode = "png"

[split]
policy = "keep"
"""
    folders = sorted(folder.name for folder in (raw / "train").iterdir() if folder.is_dir())
    return head + "".join(f'\n[[class]]\nid = "{name}"\nlabel = "{name}"\n' for name in folders)


def main() -> None:
    import arguments
    import photographs

    args = arguments.read(__doc__)
    work = args.work
    if len(args.photos) == 1 and (args.photos[0] / "train").is_dir():
        (raw,) = args.photos
    else:
        raw = photographs.make(args.isn, work, "photos", args.count or IMAGES, 375, args.photos)
    os.environ["ISN_HOME"] = str(work / "home")
    if not (work / "version").exists():
        (work / "pictures.toml").write_text(recipe(raw))
        version = ["--out", work / "version", "--quiet"]
        command = [args.isn, "build", work / "pictures.toml", "--source", raw, *version]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start", flush=True)
    times: dict[str, list] = {name: [] for name in CONTENDERS}
    for turn in range(args.rounds):
        for name in list(CONTENDERS)[:: 1 if turn % 2 == 0 else -1]:
            command = [sys.executable, __file__, "--contend", name, str(raw), str(work)]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
            times[name].append(json.loads(done.stdout.splitlines()[-1]))
    print("\n| what | images | CPU, us an image | time | CPU, against ImageFolder |\n|---|---|---|---|---|")
    first = None
    for name, measured in times.items():
        cpu, wall = (statistics.median(each[which] for each in measured) for which in (0, 1))
        first = first or cpu
        print(f"| {name} | {measured[0][2]} | {cpu:.0f} | {wall:.0f} | {first / cpu:.1f}x |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contend"]:
        contend(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
