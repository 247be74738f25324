"""All mass on one point: the code of a plain autoencoder."""

from typing import Any

from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor, float32
from kelbo.errors import UsageError


class PointMass(Distribution):
    """All mass on one point; it has no density, so its log_prob is an error.

    Args:
        point: (batch, *event).
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, point: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.point = float32(point)

    def log_prob(self, value: Tensor) -> Tensor:
        """Undefined.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "A point mass has no density: an autoencoder has neither ELBO nor KL. "
            "Use kelbo.VAE for either."
        )

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """The point itself, every time: (*sample_shape, batch, *event)."""
        return ops.broadcast_to(self.point, (*sample_shape, *ops.shape(self.point)))

    def mean(self) -> Tensor:
        """The point."""
        return self.point

    def mode(self) -> Tensor:
        """The point."""
        return self.point
