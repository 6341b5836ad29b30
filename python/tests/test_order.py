"""The order of epochs, and batches."""

import hashlib
import multiprocessing
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

import isn
from reference import order as norm
from reference import view


def test_golden_vector():
    """tests/vectors/order.txt, which another program wrote."""
    everything = isn.load("demobirds@1.0")
    parts = {203: everything, 163: isn.load("demobirds@1.0", "train"), 40: isn.load("demobirds@1.0", "val")}
    checked = 0
    for line in (Path(__file__).parents[2] / "tests/vectors/order.txt").read_text().splitlines()[1:]:
        dataset, seed, epoch, images, shuffle, expected = line.split()
        assert dataset == everything.hash
        if int(images) in parts:
            got = parts[int(images)].epoch(int(epoch), int(seed), shuffle=shuffle)
            assert ",".join(map(str, got)) == expected
            checked += 1
    assert checked == 4


@pytest.mark.parametrize("shuffle", ["full", "shard", "none"])
def test_any_epoch(train, shuffle):
    digest = train.hash[3:]
    for seed, epoch in [(0, 0), (7, 3), (2**63, 10**6)]:
        assert list(train.epoch(epoch, seed, shuffle=shuffle)) == norm.order(
            digest, seed, epoch, 163, shuffle
        )


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks(train, world):
    order = list(train.epoch(3, 7))
    shares = [list(train.epoch(3, 7, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {-(-163 // world)}
    together = [image for turn in zip(*shares) for image in turn]
    assert together[:163] == order and together[163:] == order[: len(together) - 163]
    counts = Counter(image for share in shares for image in share)
    assert set(counts) == set(range(163)) and sum(counts.values()) - 163 == (-163) % world
    for start in (0, 5, 1000):
        assert list(train.epoch(3, 7, 1 % world, world, start=start)) == shares[1 % world][start:]


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    "crop, size, flip, shapes",
    [
        ("random", (48, 48), True, {}),
        ("random", (90, 70), False, {"scale": (0.08, 1.0)}),
        ("random", (33, 40), True, {"scale": (0.9, 1.0), "ratio": (0.2, 0.3)}),
        ("center", (32, 32), False, {}),
        ("center", (200, 160), True, {}),
    ],
)
def test_batches_are_those_of_numpy(train, crop, size, flip, shapes, layout):
    shown = {"center": "centre"}.get(crop, crop)
    paths, seen = train.paths, 0
    order = train.epoch(2, 9)
    options = dict(epoch=2, seed=9, crop=crop, size=size, flip=flip, out="numpy", layout=layout, **shapes)
    for step, (images, labels) in enumerate(train.batches(50, **options)):
        chosen = order[step * 50 : step * 50 + 50]
        assert images.dtype == np.uint8 and labels.dtype == np.int64
        assert labels.tolist() == [train.targets[image] for image in chosen]
        for image, got in zip(chosen, images):
            expected = view(train[image][0], 9, 2, paths[image], shown, size, flip, **shapes)
            got = got.transpose(1, 2, 0) if layout == "NCHW" else got
            assert np.array_equal(got, expected), (paths[image], np.abs(got.astype(int) - expected).max())
            seen += 1
    assert seen == 163


def digest(batches):
    hasher = blake3()
    for images, labels in batches:
        hasher.update(images.tobytes() + labels.tobytes())
    return hasher.hexdigest()


def test_batches_do_not_depend_on_threads_or_time(train):
    options = {"crop": "random", "size": 40, "flip": True, "out": "numpy", "seed": 1}
    one = digest(train.batches(32, threads=1, **options))
    batches = train.batches(32, threads=3, **options)
    assert one == digest(batches) == digest(batches)
    assert one != digest(train.batches(32, epoch=1, **options))


def test_resuming_in_the_middle(train):
    options = {"crop": "random", "size": 40, "flip": True, "out": "numpy", "seed": 1, "copy": True}
    whole = list(train.batches(32, **options))
    rest = train.batches(32, step=2, **options)
    assert (len(whole), len(rest)) == (6, 4) and len(list(train.batches(32, drop_last=True, **options))) == 5
    assert all(np.array_equal(a, b) for one, other in zip(whole[2:], rest) for a, b in zip(one, other))
    assert len(train.batches(32, step=9, **options)) == 0 and not list(train.batches(32, step=9, **options))


def test_one_memory(train):
    for prefetch in (False, True):
        kept = [images for images, _ in train.batches(20, size=24, out="numpy", prefetch=prefetch)]
        assert len({images.__array_interface__["data"][0] for images in kept}) == 1 + prefetch
    kept = [images for images, _ in train.batches(20, size=24, out="numpy", copy=True)]
    assert len({hashlib.sha256(images.tobytes()).digest() for images in kept}) == len(kept)


def test_images_as_they_are(train):
    # Drawn birds have several sizes, and that is said.
    with pytest.raises(isn.IsnError, match="needs a crop"):
        list(train.batches(163, out="numpy"))
    images, _ = next(iter(train.batches(1, out="numpy", shuffle="none")))
    assert np.array_equal(images[0], train[0][0])


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_batches_of_ranks(train, world):
    """Every image once, before padding, whatever the number of ranks."""
    labels = Counter()
    for rank in range(world):
        batches = train.batches(16, size=8, out="numpy", rank=rank, world_size=world)
        labels.update(label for _, some in batches for label in some.tolist())
    padding = [train.targets[image] for image in train.epoch(0)[: (-163) % world]]
    assert labels == Counter(train.targets) + Counter(padding)


def test_the_next_batch_is_made_meanwhile(train):
    options = {"crop": "random", "size": 24, "flip": True, "out": "numpy"}
    counted = isn.load("demobirds@1.0", "train", verify="always")
    without = list(train.batches(20, copy=True, **options))
    for number, (images, labels) in enumerate(counted.batches(20, prefetch=True, **options)):
        due, until = min(20 * (number + 2), 163), time.monotonic() + 60
        while counted._reader.checks < due and time.monotonic() < until:
            time.sleep(0.001)
        # The next one is made, and no other; this one is as it was.
        assert counted._reader.checks == due
        assert np.array_equal(images, without[number][0]) and np.array_equal(labels, without[number][1])
    # Left early, it ends with the batch that is being made; what it filled stays as long as somebody has it.
    images, _ = next(iter(counted.batches(20, prefetch=True, **options)))
    assert np.array_equal(images, without[0][0])


def test_damage_is_said_when_its_batch_is_asked_for(train):
    """Birds of several sizes without a crop: the first batch is right."""
    sizes = [train[image][0].shape for image in range(len(train))]
    right = next(n for n in range(len(train)) if sizes[n] != sizes[0])
    batches = iter(train.batches(right, shuffle="none", prefetch=True, out="numpy"))
    assert len(next(batches)[0]) == right
    with pytest.raises(isn.IsnError, match="needs a crop"):
        next(batches)


def test_a_fork_during_an_iteration(train):
    """Its own batches are right, and it ends, whatever the parent's thread was doing."""
    options = {"size": 24, "out": "numpy", "copy": True}
    expected = sum(int(images.sum()) for images, _ in train.batches(20, **options))
    parents = iter(train.batches(20, prefetch=True, **options))
    total = int(next(parents)[0].sum())
    queue = multiprocessing.get_context("fork").Queue()

    def child():
        with pytest.raises(RuntimeError, match="forked"):
            next(parents)
        queue.put(sum(int(images.sum()) for images, _ in train.batches(20, prefetch=True, **options)))

    children = [multiprocessing.get_context("fork").Process(target=child) for _ in range(4)]
    for process in children:
        process.start()
        total += int(next(parents)[0].sum())
    assert [queue.get(timeout=60) for _ in children] == [expected] * 4
    for process in children:
        process.join(60)
        assert process.exitcode == 0
    assert total + sum(int(images.sum()) for images, _ in parents) == expected
