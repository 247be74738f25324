"""What a model is looked at with."""

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
        x: what is encoded, (n, *data_shape).
        conditions: labels mostly, each (n, *shape).
        target: what is reconstructed, (n, *shape); mostly x itself.
        given: all that `fit` takes as x, in its structure.
        y: what `fit` takes as y, or None.
    """

    x: np.ndarray
    conditions: tuple[np.ndarray, ...]
    target: np.ndarray
    given: Any
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, places: Any) -> "Data":
        """Some of the data: those at these places, or in a slice."""

        def of(part: Any) -> Any:
            return tree.map_structure(lambda array: array if array is None else array[places], part)

        return Data(*(of(getattr(self, part.name)) for part in fields(self)))


def check_array(data: Any, axes: int = 2) -> None:
    """Refuse what no diagnosis can look at.

    Raises:
        DataError: it is no array of at least two data, or has fewer axes.
    """
    if not isinstance(data, np.ndarray) or data.ndim < axes or len(data) < 2:
        found = f"shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"Expected an array of at least two data, received {found}.")


def fits(shape: Sequence[int | None], data: np.ndarray) -> bool:
    """Whether data have a shape, given without the batch; None there is any size."""
    return len(shape) == data.ndim - 1 and all(
        size in (None, found) for size, found in zip(shape, data.shape[1:], strict=True)
    )
