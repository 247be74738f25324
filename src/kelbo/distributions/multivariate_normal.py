"""The normal distribution with any covariance, by its Cholesky factor."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import (
    LOG_TWO_PI,
    Distribution,
    Tensor,
    float32,
    sampled_shape,
)


class MultivariateNormal(Distribution):
    """N(mu, L L') of vectors.

    Args:
        mu: means, (batch, d).
        factor: L, lower triangular with a positive diagonal, (batch, d, d).
    """

    def __init__(self, mu: Tensor, factor: Tensor):
        super().__init__(event_rank=1)
        self.mu = float32(mu)
        self.factor = float32(factor)

    @property
    def log_det(self) -> Tensor:
        """log |L|, half the log-determinant of the covariance: (batch,)."""
        return ops.sum(ops.log(ops.diagonal(self.factor, axis1=-2, axis2=-1)), axis=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, d) -> (S..., batch)."""
        difference = float32(value) - self.mu
        shape = ops.shape(difference)
        # All samples of a datum are columns of one triangular system.
        columns = ops.transpose(ops.reshape(difference, (-1, *shape[-2:])), (1, 2, 0))
        epsilon = ops.solve_triangular(self.factor, columns, lower=True)
        squares = ops.transpose(ops.sum(ops.square(epsilon), axis=1))
        return self._log_density(ops.reshape(squares, shape[:-1]))

    def _log_density(self, squares: Tensor) -> Tensor:
        """From |epsilon|^2 of z = mu + L epsilon, (S..., batch)."""
        return -0.5 * (self.mu.shape[-1] * LOG_TWO_PI + squares) - self.log_det

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw mu + L epsilon, epsilon ~ N(0, I): (*sample_shape, batch, d)."""
        return self.sample_and_log_prob(seed, sample_shape)[0]

    def sample_and_log_prob(
        self, seed: Any, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Draws, differentiable in mu and L, and their log-density, for which nothing is solved."""
        epsilon = keras.random.normal(
            sampled_shape(self.mu, sample_shape), dtype="float32", seed=seed
        )
        z = self.mu + ops.matmul(self.factor, epsilon[..., None])[..., 0]
        return z, self._log_density(ops.sum(ops.square(epsilon), axis=-1))

    def mean(self) -> Tensor:
        """The expected value mu."""
        return self.mu

    def mode(self) -> Tensor:
        """The most probable value, mu."""
        return self.mu
