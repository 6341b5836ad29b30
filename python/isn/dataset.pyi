import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, Optional, Union

class IsnWarning(UserWarning): ...

def load(
    ref: str,
    split: Union[str, Iterable[str], None] = ...,
    size: Optional[int] = ...,
    transform: Optional[Callable[[Any], Any]] = ...,
    decode: Literal["numpy", "torch", "pil", "bytes"] = ...,
    *,
    classes: Union[str, Iterable[str], None] = ...,
    registry: Union[str, os.PathLike[str], None] = ...,
    offline: bool = ...,
    verify: Literal["once", "always", "never"] = ...,
    quiet: bool = ...,
) -> Dataset: ...

class Dataset:
    size: Optional[int]
    transform: Optional[Callable[[Any], Any]]
    decode: Literal["numpy", "torch", "pil", "bytes"]
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def pin(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def class_to_idx(self) -> dict[str, int]: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def groups(self) -> list[Optional[str]]: ...
    @property
    def targets(self) -> list[int]: ...
    @property
    def paths(self) -> list[str]: ...
    @property
    def ids(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, which: Any) -> Any:
        """`(image, label)` of an int; a list of that of several or a slice. An image is uint8 of shape (height, width, 3),
        or what `decode` and `transform` make of it."""
    def __getitems__(self, which: Iterable[int]) -> list[tuple[Any, int]]: ...
    def __iter__(self) -> Iterator[tuple[Any, int]]: ...
    def epoch(
        self,
        epoch: int,
        seed: int = ...,
        rank: int = ...,
        world_size: int = ...,
        shuffle: Literal["full", "shard", "none"] = ...,
        start: int = ...,
    ) -> array[int]: ...
    def batches(
        self,
        batch_size: int,
        *,
        epoch: int = ...,
        seed: int = ...,
        rank: int = ...,
        world_size: int = ...,
        shuffle: Literal["full", "shard", "none"] = ...,
        step: int = ...,
        drop_last: bool = ...,
        crop: Optional[Literal["random", "center", "none"]] = ...,
        size: Union[int, Sequence[int], None] = ...,
        scale: Sequence[float] = ...,
        ratio: Sequence[float] = ...,
        flip: bool = ...,
        out: Literal["torch", "numpy"] = ...,
        layout: Optional[Literal["NCHW", "NHWC"]] = ...,
        threads: Optional[int] = ...,
        prefetch: bool = ...,
        copy: bool = ...,
    ) -> Batches:
        """Batches `(images, labels)`: uint8 of shape (n, 3, height, width) or (n, height, width, 3), int64 of shape (n,)."""
    def to_numpy(self, size: Union[int, Sequence[int], None] = ...) -> tuple[Any, Any]: ...
    def to_hf(self) -> Any: ...
    def to_tf(self) -> Any: ...

class Batches:
    batch_size: int
    first: int
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Any, Any]]: ...
    def strided(self, offset: int, stride: int) -> Iterator[tuple[Any, Any]]: ...
