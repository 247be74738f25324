"""A part of a data set: an array, or images that are read when asked for."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kelbo.data.at_hand import Bytes

Indices = Sequence[int] | np.ndarray


class Streamed(Protocol):
    """Images that are read when asked for, as `kelbo.data.ImageFiles`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Indices) -> np.ndarray:
        """The images at `indices`: float32 (n, height, width, channels) in [0, 1]."""
        ...


Part = np.ndarray | Streamed

Batch = np.ndarray | dict[str, np.ndarray]


class Readable(Protocol):
    """Data that batches can be made of, `kelbo.data.stream.Batches`."""

    def __len__(self) -> int: ...

    @property
    def draws_afresh(self) -> bool:
        """Whether the data are to be drawn anew each time."""
        ...

    def read(self, indices: Indices) -> Batch:
        """The data at `indices`, the same at every call."""
        ...

    def draw(self, indices: Indices, generator: np.random.Generator) -> Batch:
        """Fresh draws of the data at `indices`."""
        ...

    def at_hand(self) -> np.ndarray | Bytes | None:
        """All data before any fresh draw; None if they are read from files, or have more fields."""
        ...
