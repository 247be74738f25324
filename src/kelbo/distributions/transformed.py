"""A distribution carried through a bijector: a normalising flow."""

import math
from typing import Any

from keras import ops

from kelbo.distributions.bijector import Bijector
from kelbo.distributions.distribution import Distribution, Tensor, float32


class Transformed(Distribution):
    """z = f(e), e ~ base: log p(z) = log base(e) - log |det df/de|.

    Rezende and Mohamed, "Variational inference with normalizing flows", 2015, equation 5. A draw
    comes with its density without any inverse; the density of a given z needs the inverse, and is
    a UsageError where the bijector has none in closed form.

    Args:
        base: the distribution of e, of vectors: (S..., batch, d).
        bijector: f.
        event_shape: the shape of one z, of d numbers; (d,) where None.
    """

    def __init__(
        self, base: Distribution, bijector: Bijector, event_shape: tuple[int, ...] | None = None
    ):
        super().__init__(1 if event_shape is None else len(event_shape))
        self.base = base
        self.bijector = bijector
        self.event_shape = event_shape

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, *event) -> (S..., batch).

        Raises:
            UsageError: the inverse of the bijector is no formula.
        """
        e, log_det = self.bijector.inverse(self._vectors(float32(value)))
        return self.base.log_prob(e) + log_det

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw e and carry it through: (*sample_shape, batch, *event)."""
        z, _ = self.bijector.forward(self.base.sample(seed, sample_shape))
        return self._events(z)

    def sample_and_log_prob(
        self, seed: Any, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Draws and their log-density in nats, without an inverse."""
        e, log_prob = self.base.sample_and_log_prob(seed, sample_shape)
        z, log_det = self.bijector.forward(e)
        return self._events(z), log_prob - log_det

    def mean(self) -> Tensor:
        """The expected value, (batch, *event), which an affine bijector carries through.

        Raises:
            UsageError: the bijector is not affine.
        """
        if not self.bijector.affine:
            raise self._unknown("mean")
        return self.code()

    def code(self) -> Tensor:
        """Where the base's code is carried to, (batch, *event).

        It is the mean where the bijector is affine, and elsewhere not: that has no closed form.
        """
        z, _ = self.bijector.forward(self.base.code())
        return self._events(z)

    def _vectors(self, z: Tensor) -> Tensor:
        """(S..., batch, *event) -> (S..., batch, d)."""
        if self.event_rank == 1:
            return z
        leading = ops.shape(z)[: len(z.shape) - self.event_rank]
        return ops.reshape(z, (*leading, math.prod(self.event_shape or ())))

    def _events(self, z: Tensor) -> Tensor:
        """(S..., batch, d) -> (S..., batch, *event)."""
        if self.event_rank == 1:
            return z
        return ops.reshape(z, (*ops.shape(z)[:-1], *(self.event_shape or ())))
