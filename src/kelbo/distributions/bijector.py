"""The contract of a bijector: an invertible map of R^d with a known change of volume."""

import abc
from collections.abc import Sequence

from keras import ops

from kelbo.distributions.distribution import Parameterised, Tensor
from kelbo.errors import UsageError


class Bijector(Parameterised, abc.ABC):
    """An invertible map of vectors; a plain value, whose parameters are tensors.

    Parameters have a batch axis where each datum has a map of its own, and none where all share
    one. Log-determinants are those of the Jacobian's absolute value, in nats.

    Attributes:
        affine: whether the map is affine, so that it carries a mean to the mean.
    """

    affine: bool = False

    @abc.abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y = f(x), (S..., batch, d), and log |det dy/dx|, (S..., batch)."""

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """x with f(x) = y, (S..., batch, d), and log |det dx/dy|, (S..., batch).

        Raises:
            UsageError: the inverse is no formula.
        """
        raise UsageError(
            f"The inverse of a {type(self).__name__} flow is no formula, so the density of a given "
            "z is not known: only a draw comes with its density (sample_and_log_prob). Where a "
            "density at any z is wanted, as by a VampPrior or by q.frozen().log_prob(z) of the STL "
            "and DReG gradients, use the radial, Householder or inverse autoregressive flow."
        )


class Inverse(Bijector):
    """A bijector run backwards."""

    def __init__(self, bijector: Bijector):
        self.bijector = bijector
        self.affine = bijector.affine

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of the bijector."""
        return self.bijector.inverse(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The bijector itself."""
        return self.bijector.forward(y)


class Chain(Bijector):
    """Several bijectors, the first one first; their log-determinants add up."""

    def __init__(self, bijectors: Sequence[Bijector]):
        self.bijectors = list(bijectors)
        self.affine = all(bijector.affine for bijector in self.bijectors)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Through all of them."""
        total = no_change(x)
        for bijector in self.bijectors:
            x, log_det = bijector.forward(x)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Back through all of them, the last one first."""
        total = no_change(y)
        for bijector in reversed(self.bijectors):
            y, log_det = bijector.inverse(y)
            total = total + log_det
        return y, total


class Reverse(Bijector):
    """The dimensions in the opposite order: what autoregressive maps and couplings stand between.

    Without it the first dimension would never depend on the last.
    """

    affine = True

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last dimension first; no volume changes."""
        return ops.flip(x, axis=-1), no_change(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same once more."""
        return self.forward(y)


def no_change(x: Tensor) -> Tensor:
    """A log-determinant of 0 for each vector: (S..., batch, d) -> (S..., batch)."""
    return ops.zeros_like(x[..., 0])
