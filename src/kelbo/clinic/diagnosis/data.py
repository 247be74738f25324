"""The data that a diagnosis passes through a model."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from keras import tree

from kelbo.errors import DataError


@dataclass(frozen=True)
class Data:
    """Data, with the conditions that a conditional VAE takes beside them.

    Attributes:
        x: the data to encode, (n, *data_shape).
        conditions: arrays of shape (n, *shape), mostly labels.
        target: the data to reconstruct, (n, *shape); mostly x itself.
        given: the first argument of `fit`, in its structure.
        y: the target as `fit` takes it, or None.
        observed: which values of x count, as bool that broadcasts against x; None where all do.
    """

    x: np.ndarray
    conditions: tuple[np.ndarray, ...]
    target: np.ndarray
    given: Any
    y: np.ndarray | None
    observed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, places: Any) -> "Data":
        """The data at some indices or in a slice."""

        def of(part: Any) -> Any:
            return tree.map_structure(lambda array: array if array is None else array[places], part)

        return Data(*(of(getattr(self, part.name)) for part in fields(self)))


def check_array(data: Any, axes: int = 2) -> None:
    """Refuse anything but an array of at least two data.

    Args:
        data: the array.
        axes: the fewest axes that it may have.

    Raises:
        DataError: it is none, holds one datum, or has fewer axes.
    """
    if not isinstance(data, np.ndarray) or data.ndim < axes or len(data) < 2:
        found = f"shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"Expected an array of at least two data, received {found}.")


def fits(shape: Sequence[int | None], data: np.ndarray) -> bool:
    """Whether data have a shape, given without the batch; None there is any size."""
    return len(shape) == data.ndim - 1 and all(
        size in (None, found) for size, found in zip(shape, data.shape[1:], strict=True)
    )
