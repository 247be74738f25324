"""A part of a data set: an array, or images that are read when asked for."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

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
