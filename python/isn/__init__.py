"""Exact versions of image-classification datasets: verified, hash-pinned, read in place.

    birds = isn.load("imagebirds@1.0", split="train")
    image, label = birds[0]      # uint8 array of shape (height, width, 3), int
    print(birds.pin)             # imagebirds@1.0#b3:…: what goes in a paper

Nothing but the standard library is imported until an image is asked for. ``isn.torch`` has a sampler and an
iterable for PyTorch.
"""

from ._isn import (
    IntegrityError,
    IsnError,
    NetworkError,
    NotFoundError,
    SourceNeededError,
    TrustError,
    UsageError,
    __version__,
)
from .dataset import Batches, Dataset, IsnWarning, load

__all__ = [
    "Batches",
    "Dataset",
    "IntegrityError",
    "IsnError",
    "IsnWarning",
    "NetworkError",
    "NotFoundError",
    "SourceNeededError",
    "TrustError",
    "UsageError",
    "__version__",
    "load",
]
