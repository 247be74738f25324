"""Columns of a vector under distributions of their own, independent of one another."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor
from kelbo.distributions.draws import several_seeds


class Product(Factorised):
    """The columns of a vector, so many under one distribution, the next under another.

    Args:
        parts: distributions with independent dimensions and event rank 1, (S..., batch, size)
            each.
        sizes: how many columns each has.
    """

    def __init__(self, parts: Sequence[Factorised], sizes: Sequence[int]):
        super().__init__(event_rank=1)
        self.parts = list(parts)
        self.sizes = tuple(sizes)

    def _columns(self, value: Tensor) -> list[Tensor]:
        """The columns of each part."""
        ends = np.cumsum(self.sizes)
        return [value[..., end - size : end] for end, size in zip(ends, self.sizes, strict=True)]

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each column in nats: (S..., batch, columns), unreduced."""
        columns = zip(self.parts, self._columns(ops.convert_to_tensor(value)), strict=True)
        return ops.concatenate([part.log_prob_per_dimension(x) for part, x in columns], axis=-1)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw from each part: (*sample_shape, batch, columns)."""
        seeds = several_seeds(seed, len(self.parts))
        return self._joined(lambda part: part.sample(seeds.pop(), sample_shape))

    def mean(self) -> Tensor:
        """The mean of each column.

        Raises:
            UsageError: a part has none, as classes have none.
        """
        return self._joined(lambda part: part.mean())

    def mode(self) -> Tensor:
        """The mode of each column.

        Raises:
            UsageError: a part's has no closed form.
        """
        return self._joined(lambda part: part.mode())

    def _joined(self, of_part: Callable[[Factorised], Tensor]) -> Tensor:
        return ops.concatenate([of_part(part) for part in self.parts], axis=-1)

    def best_constant(self, x: np.ndarray) -> "Product | None":
        """The best of each part; None where one does not know it."""
        columns = zip(self.parts, self._columns(x), strict=True)
        best = [part.best_constant(of_part) for part, of_part in columns]
        known = [part for part in best if isinstance(part, Factorised)]
        return Product(known, self.sizes) if len(known) == len(best) else None
