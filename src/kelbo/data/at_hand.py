"""Data that are all at hand, so that they can be taken to the device at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Bytes:
    """Data that stay on disk as bytes k, each of which means k / 255.

    Args:
        count: how many data.
        read: the bytes of the data in a range: uint8 (len(range), ...).
    """

    count: int
    read: Callable[[range], np.ndarray]

    def __len__(self) -> int:
        return self.count


@runtime_checkable
class Source(Protocol):
    """Data at hand, their batches and their order: what a stream offers to be taken over."""

    batch_size: int

    def arrays(self) -> tuple[Any, Any, Any] | None:
        """x, y and sample weights, of which the latter may be None; None if not at hand.

        Arrays, or `Bytes`.
        """
        ...

    def order(self) -> np.ndarray:
        """The order of the data in the epoch that begins."""
        ...

    def key(self) -> np.ndarray | None:
        """The key of the epoch's Bernoulli draws, uint32 (2,); None if the data are what they are.

        In batch i the data are the means of draws made with `jax.random.fold_in(key, i)`.
        """
        ...

    def on_epoch_end(self) -> None:
        """Keras calls this before the first epoch and after each."""
        ...


def array_at_hand(data: Any) -> np.ndarray | None:
    """The array that is the whole x of a `Source`, before any draw; None of all else."""
    arrays = data.arrays() if isinstance(data, Source) else None
    return arrays[0] if arrays is not None and isinstance(arrays[0], np.ndarray) else None
