"""For PyTorch: the order of an epoch as a sampler, and batches as an iterable dataset, both for any number of
ranks and workers. ``docs/python.md`` has a complete training script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import IterableDataset, Sampler, get_worker_info

from .dataset import Batches as _Batches
from .dataset import Dataset, Shuffle


def _ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if rank is None or world_size is None:
        group = torch.distributed.is_available() and torch.distributed.is_initialized()
        known = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if group else (0, 1)
        both = rank is None and world_size is None
        rank, world_size = known if both else (rank or known[0], world_size or known[1])
    return rank, world_size


class _Epoch:
    """The epoch and the step to begin with, in memory that workers share, so that workers that go on from
    epoch to epoch see the next one."""

    def _start(self) -> None:
        self._now = torch.zeros(2, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int, step: int = 0) -> None:
        """Sets the epoch of the next iteration, and the batch that it begins with, after ``step`` others."""
        self._now[0], self._now[1] = epoch, step

    @property
    def epoch(self) -> int:
        """Which epoch the next iteration is."""
        return int(self._now[0])

    @property
    def step(self) -> int:
        """With which batch it begins."""
        return int(self._now[1])


class EpochSampler(_Epoch, Sampler):
    """Gives a :class:`isn.Dataset`'s indices in the order of :meth:`isn.Dataset.epoch`.

    :param batch_size: the loader's: only to know where a step begins.
    :param rank: and ``world_size``: by default those of ``torch.distributed`` if initialised, else 0 of 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle: Shuffle = "full",
    ) -> None:
        self._start()
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.rank, self.world_size = _ranks(rank, world_size)

    def __len__(self) -> int:
        return max(0, -(-len(self.dataset) // self.world_size) - self.step * self.batch_size)

    def __iter__(self) -> Iterator[int]:
        start = self.step * self.batch_size
        ranks = {"rank": self.rank, "world_size": self.world_size}
        return iter(
            self.dataset.epoch(self.epoch, self.seed, shuffle=self.shuffle, start=start, **ranks).tolist()
        )


class EpochBatches(_Epoch, IterableDataset):
    """Batches of a :class:`isn.Dataset`, as :meth:`isn.Dataset.batches` makes them: for a ``DataLoader`` with
    ``batch_size=None`` and any number of workers, which then gives the same batches in the same order.

    Takes what :meth:`isn.Dataset.batches` takes, but for ``epoch`` and ``step`` (:meth:`set_epoch`) and
    ``out``. A batch is ``(images, labels)``: uint8 of shape (n, 3, height, width), int64 of shape (n,).
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Any,
    ) -> None:
        self._start()
        self.dataset, self.batch_size = dataset, batch_size
        rank, world_size = _ranks(rank, world_size)
        self._options = {**options, "rank": rank, "world_size": world_size, "out": "torch", "copy": True}
        self._batches()

    def _batches(self) -> _Batches:
        return self.dataset.batches(self.batch_size, epoch=self.epoch, step=self.step, **self._options)

    def __len__(self) -> int:
        return len(self._batches())

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        worker = get_worker_info()
        return self._batches().strided(worker.id if worker else 0, worker.num_workers if worker else 1)
