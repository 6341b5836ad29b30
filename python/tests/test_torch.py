"""Real PyTorch: loaders with workers, the sampler, batches for ranks."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader

import isn
from isn.torch import EpochBatches, EpochSampler

WORKERS = [(0, None), (1, "fork"), (4, "fork"), (1, "spawn"), (4, "spawn"), (2, "forkserver")]


def loader(dataset, workers, how, **options):
    context = {"multiprocessing_context": how} if workers else {}
    return DataLoader(dataset, num_workers=workers, **context, **options)


@pytest.fixture(scope="module")
def sized():
    return isn.load("demobirds@1.0", "train", size=32, decode="torch")


@pytest.mark.parametrize("workers, how", WORKERS)
def test_map_style(sized, workers, how):
    sized[0]
    sampler = EpochSampler(sized, batch_size=25, seed=7)
    sampler.set_epoch(3)
    batches = list(loader(sized, workers, how, batch_size=25, sampler=sampler))
    images, labels = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
    order = list(sized.epoch(3, 7))
    assert images.shape == (163, 3, 32, 32) and images.dtype == torch.uint8
    assert labels.tolist() == [sized.targets[image] for image in order]
    assert torch.equal(images, torch.stack([sized[image][0] for image in order]))


def reference(train, epoch, step=0, **ranks):
    batches = train.batches(
        16, epoch=epoch, step=step, crop="random", size=24, flip=True, seed=5, copy=True, **ranks
    )
    return list(batches)


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for x, y in zip(one, other) for a, b in zip(x, y))


@pytest.mark.parametrize("workers, how", WORKERS)
def test_batches(train, workers, how):
    stream = EpochBatches(train, 16, crop="random", size=24, flip=True, seed=5)
    keep = {"persistent_workers": True} if workers else {}
    batches = loader(stream, workers, how, batch_size=None, **keep)
    # Workers that go on see the next epoch, and a step to resume at.
    for epoch, step in [(0, 0), (1, 0), (2, 4)]:
        stream.set_epoch(epoch, step)
        assert len(stream) == 11 - step
        assert same(list(batches), reference(train, epoch, step))


@pytest.mark.parametrize("world", [2, 3, 8])
def test_ranks_and_workers(train, world):
    order = train.epoch(0, 5)
    shares = []
    for rank in range(world):
        stream = EpochBatches(
            train, 16, rank=rank, world_size=world, crop="random", size=24, flip=True, seed=5
        )
        got = list(loader(stream, 2, "fork", batch_size=None))
        assert same(got, reference(train, 0, rank=rank, world_size=world))
        shares.append(torch.cat([labels for _, labels in got]).tolist())
    assert len({len(share) for share in shares}) == 1
    together = [label for turn in zip(*shares) for label in turn]
    assert together[:163] == [train.targets[image] for image in order]


def test_sampler_resumes_and_shares(train):
    samplers = [
        EpochSampler(train, 10, seed=1, rank=rank, world_size=3, shuffle="shard") for rank in range(3)
    ]
    for sampler in samplers:
        sampler.set_epoch(4, step=2)
        assert len(sampler) == len(list(sampler)) == 55 - 20
    assert list(samplers[1]) == list(train.epoch(4, 1, 1, 3, "shard"))[20:]


def test_torch_batches_are_numpy_batches(train):
    options = {"crop": "random", "size": 24, "flip": True, "layout": "NCHW"}
    for (ours, labels), (theirs, same_labels) in zip(
        train.batches(50, out="torch", **options), train.batches(50, out="numpy", **options)
    ):
        assert np.array_equal(ours.numpy(), theirs) and labels.tolist() == same_labels.tolist()
