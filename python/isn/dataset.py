"""Datasets and batches: what is about Python; the rest is in ``_isn``."""

from __future__ import annotations

import operator
import os
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, SupportsIndex, Union, get_args

from ._isn import Buffer, Coming, IntegrityError, Reader, UsageError

Decode = Literal["numpy", "torch", "pil", "bytes"]
Shuffle = Literal["full", "shard", "none"]
Crop = Literal["random", "center", "none"]
Cache = Literal["decoded"]
Texts = Union[str, Iterable[str], None]
Size = Union[int, Sequence[int], None]

DECODE: tuple[Decode, ...] = get_args(Decode)
SHUFFLE: tuple[Shuffle, ...] = get_args(Shuffle)
CROPS: tuple[Crop, ...] = get_args(Crop)


class IsnWarning(UserWarning):
    """What should be known of a version: that it is yanked, that a mirror is behind."""


def load(
    ref: str,
    split: Texts = None,
    size: int | None = None,
    transform: Callable[[Any], Any] | None = None,
    decode: Decode = "numpy",
    *,
    classes: Texts = None,
    registry: str | os.PathLike[str] | None = None,
    offline: bool = False,
    verify: Literal["once", "always", "never"] = "once",
    cache: Cache | None = None,
    quiet: bool = False,
) -> Dataset:
    """Opens a version of a dataset for reading. What is not on this machine is fetched into the cache first.

    :param ref: ``NAME@VERSION``, with or without ``#b3:…``; ``NAME`` for the newest; or ``b3:…``. As for the
        command. Or the folder of a build or of a tree, which is read where it lies: ``./birds-build``.
    :param split: ``"train"``, ``"val"`` or ``"test"``, or several; all if ``None``.
    :param size: each image becomes the largest square in its middle, resampled to ``size`` × ``size``
        (bilinear). With ``None`` an image has its own size.
    :param transform: a function of the decoded image; its result takes the image's place.
    :param decode: what an image is: ``"numpy"``, an array of shape (height, width, 3) and dtype uint8;
        ``"torch"``, a tensor of shape (3, height, width) and dtype uint8; ``"pil"``, a ``PIL.Image.Image`` in
        mode RGB; ``"bytes"``, the file (PNG or JPEG), as the dataset hash pins it.
    :param classes: class ids; all if ``None``.
    :param registry: as ``--registry``: where to look. By default what ``ISN_REGISTRY`` and the settings say.
    :param offline: no network, as ``--offline``.
    :param verify: when the BLAKE3 of an image is compared with the index: ``"once"``, when it is first read
        by a process; ``"always"``; or ``"never"``.
    :param cache: ``"decoded"`` keeps the pixels in isn's cache, as they are or at ``size``, and reads them
        from there: an image is then a copy. What is not there yet is decoded first, on all cores. Crops and
        sizes that are not kept are decoded as without it, so the pixels are always the same.
    :param quiet: no progress on stderr while something is fetched or decoded.
    :returns: a :class:`Dataset`.
    :raises IsnError: one of its subclasses, with the text of the command.
    """
    if decode not in DECODE:
        raise UsageError(f"decode={decode!r}: expected one of {', '.join(DECODE)}")
    if size is not None and decode == "bytes":
        raise UsageError("decode='bytes' gives files as they are: it has no size")
    if cache not in (None, "decoded"):
        raise UsageError(f"cache={cache!r}: expected decoded, or None")
    if cache is not None and decode == "bytes":
        raise UsageError("decode='bytes' gives files as they are: cache='decoded' has only pixels")
    size = None if size is None else _positive("size", size)
    where: dict[str, Any] = {
        "registry": None if registry is None else os.fspath(registry),
        "offline": bool(offline),
        "splits": _texts(split),
        "classes": _texts(classes),
        "verify": verify,
    }
    reader = Reader.open(str(ref), quiet=bool(quiet), decoded=cache is not None, size=size, **where)
    for text in reader.warnings:
        warnings.warn(text, IsnWarning, stacklevel=2)
    return Dataset(reader, where, size, transform, decode, cache)


def _texts(given: Texts) -> list[str]:
    if given is None:
        return []
    return [given] if isinstance(given, str) else [str(text) for text in given]


def _positive(name: str, value: SupportsIndex, below: int = 1 << 16) -> int:
    number = operator.index(value)
    if not 0 < number < below:
        raise UsageError(f"{name}={value!r}: expected a whole number from 1, below {below}")
    return number


def _number(name: str, value: SupportsIndex, below: int = 1 << 64) -> int:
    number = operator.index(value)
    if not 0 <= number < below:
        raise UsageError(f"{name}={value!r}: expected a whole number from 0, below {below}")
    return number


def _reopen(
    ref: str,
    hash: str,
    where: dict[str, Any],
    size: int | None,
    transform: Callable[[Any], Any] | None,
    decode: Decode,
    cache: Cache | None = None,
) -> Dataset:
    # Whoever made the pickle has brought everything to this machine, and has heard the warnings.
    reader = Reader.open(ref, quiet=True, decoded=cache is not None, size=size, **{**where, "offline": True})
    if reader.hash != hash:
        raise IntegrityError(f"{ref} has dataset hash {reader.hash}; what was pickled had {hash}")
    return Dataset(reader, where, size, transform, decode, cache)


class Dataset:
    """The images of a version, or of a part of it, in the order of their paths; made by :func:`load`.

    A map-style dataset: ``len(ds)``, ``ds[i]`` gives ``(image, label)``, ``ds[[3, 1]]`` and ``ds[10:20]``
    lists of that. It can be pickled (what is stored is the pin or the folder, and the selection, and opened
    again), forked, and read by any number of threads: reading and decoding happen without the GIL.
    """

    def __init__(
        self,
        reader: Reader,
        where: dict[str, Any],
        size: int | None,
        transform: Callable[[Any], Any] | None,
        decode: Decode,
        cache: Cache | None = None,
    ) -> None:
        self._reader = reader
        self._where = where
        self.size = size
        self.transform = transform
        self.decode: Decode = decode
        self.cache: Cache | None = cache
        self._len = len(reader)
        self._ids: list[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        reader = self._reader
        where = (reader.reference, reader.hash, self._where)
        return _reopen, (*where, self.size, self.transform, self.decode, self.cache)

    # What it is.

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._reader.name

    @property
    def version(self) -> str | None:
        """``MAJOR.MINOR``; ``None`` of what was built from a part of its source."""
        return self._reader.version

    @property
    def title(self) -> str:
        """One line for people."""
        return self._reader.title

    @property
    def licence(self) -> str:
        """Under which terms the images may be used."""
        return self._reader.licence

    @property
    def hash(self) -> str:
        """The dataset hash, ``b3:`` and 64 hex digits: of all of the version, also if this is a part of
        it."""
        return self._reader.hash

    @property
    def pin(self) -> str:
        """``name@version#b3:…``: what goes in a paper, and what :func:`load` takes. Of what nobody has
        released, ``unreleased:name/b3:…``."""
        return self._reader.pin

    @property
    def citation(self) -> str:
        """A BibTeX entry."""
        return self._reader.citation

    @property
    def classes(self) -> list[str]:
        """The ids of all classes of the version, sorted; a label is an index into this list (as torchvision
        has it)."""
        return [id for id, _, _ in self._reader.classes()]

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class id."""
        return {id: index for index, id in enumerate(self.classes)}

    @property
    def class_names(self) -> list[str]:
        """What people call each class, in the order of ``classes``."""
        return [label for _, label, _ in self._reader.classes()]

    @property
    def groups(self) -> list[str | None]:
        """The coarse class of each class, or ``None``, in the order of ``classes``."""
        return [group for _, _, group in self._reader.classes()]

    @property
    def targets(self) -> list[int]:
        """The label of each image: a list of ints."""
        return array("q", self._reader.labels()).tolist()

    @property
    def paths(self) -> list[str]:
        """Where each image stands in the tree: ``split/class/stem.ext``."""
        return self._reader.paths()

    @property
    def ids(self) -> list[str]:
        """The source id of each image, as ledgers name it (``n01614925_10``)."""
        if self._ids is None:
            where = {name: value for name, value in self._where.items() if name != "verify"}
            self._ids = Reader.sources(self._reader.reference, **where)
        return list(self._ids)

    # Its images.

    def __len__(self) -> int:
        return self._len

    def __getitem__(self, which: Any) -> Any:
        """``(image, label)`` of an int; a list of that for several or a slice. An image is uint8 of shape
        (height, width, 3), or what ``decode`` and ``transform`` make of it."""
        try:
            image = operator.index(which)
        except TypeError:
            return self.__getitems__(which)
        if image < 0:
            image += self._len
        if not 0 <= image < self._len:
            raise IndexError(f"image {which} of {self._len}")
        return self._image(image), self._reader.label(image)

    def __getitems__(self, which: Iterable[int] | slice) -> list[tuple[Any, int]]:
        """Samples of several images; ``torch.utils.data.DataLoader`` asks for a batch with it."""
        if isinstance(which, slice):
            which = range(*which.indices(self._len))
        return [self[image] for image in which]

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return (self[image] for image in range(len(self)))

    def _image(self, image: int) -> Any:
        pixels = self._decoded(image, self.decode)
        return pixels if self.transform is None else self.transform(pixels)

    def _decoded(self, image: int, decode: Decode) -> Any:
        if decode == "bytes":
            return self._reader.file(image)
        if self.cache is not None and decode in ("numpy", "torch"):
            row = self._reader.row(image, self.size)
            if row is not None:
                if decode == "numpy":
                    return _numpy().asarray(row)
                import torch

                return torch.from_numpy(_numpy().asarray(row)).permute(2, 0, 1)
        if self.size is None:
            height, width, data = self._reader.pixels(image)
        else:
            height = width = self.size
            data = self._reader.square(image, self.size)
        if decode == "numpy":
            return _numpy().frombuffer(data, "u1").reshape(height, width, 3)
        if decode == "torch":
            import torch

            return torch.frombuffer(data, dtype=torch.uint8).view(height, width, 3).permute(2, 0, 1)
        from PIL import Image

        return Image.frombuffer("RGB", (width, height), bytes(data), "raw", "RGB", 0, 1)

    # Epochs.

    def epoch(
        self,
        epoch: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: Shuffle = "full",
        start: int = 0,
    ) -> array[int]:
        """The images of an epoch in their order: a pure function of the dataset hash, seed, epoch, shuffle
        and how many images there are, the same on every machine and for every number of workers.

        :param shuffle: ``"full"``; ``"shard"``, where neighbours stay near each other, for slow disks; or
            ``"none"``.
        :param rank: of ``world_size``: every ``world_size``-th image from the ``rank``-th on. All ranks have
            as many; where it does not divide, the order goes on from its beginning.
        :param start: how many of this rank's images to leave out at the beginning: to resume at a step,
            ``step * batch_size``.
        :returns: an ``array.array`` of 64-bit integers: indices of this dataset. ``numpy.asarray`` shares its
            memory.
        """
        if shuffle not in SHUFFLE:
            raise UsageError(f"shuffle={shuffle!r}: expected one of {', '.join(SHUFFLE)}")
        world_size = _number("world_size", world_size, 1 << 32)
        if world_size == 0:
            raise UsageError("world_size=0: expected at least 1")
        rank = _number("rank", rank, world_size)
        order = self._reader.order(_number("seed", seed), _number("epoch", epoch), shuffle, rank, world_size)
        return array("q", order[8 * _number("start", start) :])

    def batches(
        self,
        batch_size: int,
        *,
        epoch: int = 0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: Shuffle = "full",
        step: int = 0,
        drop_last: bool = False,
        crop: Crop | None = None,
        size: Size = None,
        scale: Sequence[float] = (0.35, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: bool = False,
        out: Literal["torch", "numpy"] = "torch",
        layout: Literal["NCHW", "NHWC"] | None = None,
        threads: int | None = None,
        prefetch: bool = False,
        copy: bool = False,
    ) -> Batches:
        """Batches of an epoch, read, decoded, cropped, flipped and put together by threads outside of Python.

        :param crop: ``"random"``, a rectangle of ``scale`` of the area and of a width over height within
            ``ratio``, anywhere; ``"center"``, the largest square in the middle; ``"none"``, the image as it
            is: then all must have one size. By default ``"center"`` if there is a ``size``, else ``"none"``.
        :param size: what crops are resampled to, in pixels (bilinear): one number or (height, width). By
            default that of the dataset.
        :param flip: mirrors every other image.
        :param step: the batch to begin with: to resume in the middle of an epoch.
        :param out: ``"torch"`` or ``"numpy"``: what images and labels are.
        :param layout: ``"NCHW"`` (default for torch) or ``"NHWC"`` (default for numpy).
        :param threads: by default as many as there are cores for this process, and one in a worker of a
            ``DataLoader``.
        :param prefetch: makes the next batch while one is worked on, in a second memory; not in a worker of a
            ``DataLoader``, which is ahead already.
        :param copy: without, batches are made in the same memory: a batch is good until the next one is asked
            for.
        :returns: :class:`Batches`, which gives ``(images, labels)``: uint8 of shape (n, 3, height, width) or
            (n, height, width, 3), and int64 of shape (n,).
        """
        return Batches(self, batch_size, locals())

    # In other forms.

    def to_numpy(self, size: Size = None) -> tuple[Any, Any]:
        """All images and labels as two arrays: uint8 of shape (n, height, width, 3), int64 of shape (n,).

        :param size: as in :meth:`batches`; needed unless the dataset has one, or all images are of one size.
        """
        if not len(self):
            raise UsageError("there are no images to make an array of")
        (both,) = self.batches(len(self), size=size, shuffle="none", out="numpy")
        return both

    def to_hf(self) -> Any:
        """A ``datasets.Dataset`` of Hugging Face with the columns ``image`` (the files as they are),
        ``label``, and ``path``. Its description has the pin.

        :raises UsageError: if there is a ``transform``.
        """
        self._no_transform("to_hf()", "use .map(…) or .set_transform(…) of the datasets.Dataset")
        import datasets

        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=self.classes),
                "path": datasets.Value("string"),
            }
        )
        files = Dataset(self._reader, self._where, None, None, "bytes")
        made = datasets.Dataset.from_generator(_rows, features=features, gen_kwargs={"files": files})
        made.info.description, made.info.license = f"{self.title}: {self.pin}", self.licence
        made.info.citation = self.citation
        return made

    def to_tf(self) -> Any:
        """A ``tf.data.Dataset`` of ``(image, label)``, uint8 of shape (height, width, 3) and int64, in the
        order of the dataset. Images are read when they are asked for, several at a time; their height and
        width are static if the dataset has a ``size``.

        :raises UsageError: if there is a ``transform``: what it makes has no known shape. Use ``.map`` of the
            result.
        """
        self._no_transform("to_tf()", "use .map(…) of the tf.data.Dataset")
        import tensorflow as tf

        def image(number: Any) -> Any:
            return self._decoded(int(number), "numpy")

        def sample(number: Any, label: Any) -> tuple[Any, Any]:
            pixels = tf.numpy_function(image, [number], tf.uint8)
            return tf.ensure_shape(pixels, (self.size, self.size, 3)), label

        labels = _numpy().frombuffer(self._reader.labels(), "i8")
        numbered = tf.data.Dataset.range(len(self)), tf.data.Dataset.from_tensor_slices(labels)
        return tf.data.Dataset.zip(numbered).map(
            sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def _no_transform(self, what: str, instead: str) -> None:
        if self.transform is not None:
            raise UsageError(f"{what} leaves the transform out: load without it, and {instead}")


def _rows(files: Dataset) -> Iterator[dict[str, Any]]:
    paths = files.paths
    for image, (file, label) in enumerate(files):
        yield {"image": {"bytes": file, "path": paths[image]}, "label": label, "path": paths[image]}


class Batches:
    """The batches of an epoch; made by :meth:`Dataset.batches`. Iterable as often as one likes, always with
    the same result."""

    def __init__(self, dataset: Dataset, batch_size: int, given: dict[str, Any]) -> None:
        size = given["size"] if given["size"] is not None else dataset.size
        crop = given["crop"] or ("none" if size is None else "center")
        out, layout = given["out"], given["layout"]
        dataset._no_transform("batches()", "transform the batches")
        if crop not in CROPS:
            raise UsageError(f"crop={crop!r}: expected one of {', '.join(CROPS)}")
        if out not in ("torch", "numpy"):
            raise UsageError(f"out={out!r}: expected torch or numpy")
        layout = layout or ("NCHW" if out == "torch" else "NHWC")
        if layout not in ("NCHW", "NHWC"):
            raise UsageError(f"layout={layout!r}: expected NCHW or NHWC")
        if crop != "none" and size is None:
            raise UsageError(f"crop={crop!r} needs a size, in pixels")
        if crop == "none" and size is not None:
            raise UsageError("crop='none' leaves images as they are: it has no size")
        self._dataset = dataset
        self.batch_size = _positive("batch_size", batch_size, 1 << 32)
        self._size = None if size is None else _size(size)
        self._crop = (crop, _pair("scale", given["scale"], 1.0), _pair("ratio", given["ratio"], float("inf")))
        self._flip, self._planar, self._torch = bool(given["flip"]), layout == "NCHW", out == "torch"
        self._threads, self._prefetch, self._copy = (
            given["threads"],
            bool(given["prefetch"]),
            bool(given["copy"]),
        )
        self._seed, self._epoch = _number("seed", given["seed"]), _number("epoch", given["epoch"])
        order = dataset.epoch(self._epoch, self._seed, given["rank"], given["world_size"], given["shuffle"])
        if given["drop_last"]:
            order = order[: len(order) // self.batch_size * self.batch_size]
        self._order = order
        self.first = _number("step", given["step"])

    def __len__(self) -> int:
        """How many batches there are, from ``step`` on."""
        return max(0, -(-len(self._order) // self.batch_size) - self.first)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.strided(0, 1)

    def strided(self, offset: int, stride: int) -> Iterator[tuple[Any, Any]]:
        """Every ``stride``-th batch from the ``offset``-th on: a worker's share."""
        steps = range(self.first + offset, self.first + len(self), stride)
        if not steps:
            return
        np, reader, size = _numpy(), self._dataset._reader, self._size
        if size is None:
            width, height = reader.size(self._order[0])
        else:
            height, width = size
        shape = [
            min(self.batch_size, len(self._order)),
            *((3, height, width) if self._planar else (height, width, 3)),
        ]
        ahead = self._prefetch and not _in_worker()
        buffers = [Buffer(shape) for _ in steps[: 2 if ahead else 1]]
        views = [np.asarray(buffer) for buffer in buffers]
        if self._torch:
            import torch

            views = [torch.from_numpy(view) for view in views]
        maker = reader.maker(
            (width, height),
            self._crop,
            self._flip,
            self._seed,
            self._epoch,
            self._planar,
            self._threads or _threads(),
        )

        def chosen(turn: int) -> list[int]:
            first = steps[turn] * self.batch_size
            return self._order[first : first + self.batch_size].tolist()

        coming: Coming | None = None
        for turn in range(len(steps)):
            some = chosen(turn)
            if coming is None:
                maker.make(some, buffers[0])
            else:
                coming.wait()
            if ahead and turn + 1 < len(steps):
                coming = maker.begin(chosen(turn + 1), buffers[(turn + 1) % 2])
            images = views[turn % len(views)][: len(some)]
            its_labels = np.frombuffer(reader.labels_of(some), "i8")
            if self._torch:
                yield (images.clone() if self._copy else images), torch.from_numpy(its_labels)
            else:
                yield (images.copy() if self._copy else images), its_labels


def _size(size: Any) -> tuple[int, int]:
    try:
        height, width = size
    except TypeError:
        height = width = size
    return _positive("size", height), _positive("size", width)


def _pair(name: str, pair: Sequence[float], most: float) -> tuple[float, float]:
    low, high = (float(value) for value in pair)
    if not 0 < low <= high <= most or high == float("inf"):
        limit = "" if most == float("inf") else f", at most {most}"
        raise UsageError(f"{name}={pair!r}: expected two numbers above 0, the smaller first{limit}")
    return low, high


def _in_worker() -> bool:
    import multiprocessing

    return multiprocessing.parent_process() is not None


def _threads() -> int:
    if _in_worker():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_NUMPY: Any = None


def _numpy() -> Any:
    global _NUMPY
    if _NUMPY is None:
        import numpy

        _NUMPY = numpy
    return _NUMPY
