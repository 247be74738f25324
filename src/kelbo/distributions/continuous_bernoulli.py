"""The continuous Bernoulli distribution on [0, 1] with independent dimensions, from logits.

Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
autoencoders", NeurIPS 2019. Its density is the Bernoulli's formula on [0, 1], divided by what that
formula integrates to. With lambda = sigmoid(l) the paper's constant is

    C = 2 artanh(1 - 2 lambda) / (1 - 2 lambda) = l / tanh(l / 2),

which is written here in u = l / 2. Near u = 0 the closed forms are 0 / 0, and their gradients lose
all digits before that, so short series take over.
"""

import keras
import numpy as np
from keras import ops

from kelbo.distributions.bernoulli import laplace_mean
from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape

_LOG_TWO = 0.6931471805599453
# Below this |u| the series are exact to float32; above it the closed forms are.
_SERIES = 0.3


def _split(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether |u| is small, u clipped for the series, and u kept away from 0 for the closed form.

    Both branches of a `where` are evaluated and differentiated, so each gets an argument at which
    it is finite.
    """
    small = ops.abs(u) < _SERIES
    return small, ops.where(small, u, 0.0), ops.where(small, 1.0, u)


def log_normaliser(logits: Tensor) -> Tensor:
    """Log C in nats, elementwise (equation 8 of the paper)."""
    small, near, far = _split(0.5 * float32(logits))
    square = ops.square(near)
    # log(u coth u) = u^2/3 - 7 u^4/90 + 62 u^6/2835 - 127 u^8/18900 + ...
    series = square * (
        1.0 / 3.0 - square * (7.0 / 90.0 - square * (62.0 / 2835.0 - square * 127.0 / 18900.0))
    )
    closed = ops.log(far / ops.tanh(far))
    return _LOG_TWO + ops.where(small, series, closed)


@keras.saving.register_keras_serializable("kelbo")
def continuous_bernoulli_mean(logits: Tensor) -> Tensor:
    """The expected value in (0, 1), elementwise: 1/2 + (coth u - 1/u) / 2 with u = logits / 2."""
    small, near, far = _split(0.5 * float32(logits))
    square = ops.square(near)
    series = near * (1.0 / 3.0 - square * (1.0 / 45.0 - square * (2.0 / 945.0 - square / 4725.0)))
    closed = 1.0 / ops.tanh(far) - 1.0 / far
    return 0.5 + 0.5 * ops.where(small, series, closed)


class ContinuousBernoulli(Factorised):
    """The continuous Bernoulli with parameter lambda = sigmoid(logits).

    Args:
        logits: (S..., batch, *event).
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, logits: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.logits = float32(logits)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""
        cross_entropy = ops.softplus(self.logits) - float32(value) * self.logits
        return log_normaliser(self.logits) - cross_entropy

    def sample(self, seed: int | keras.random.SeedGenerator, sample_shape: tuple = ()) -> Tensor:
        """Draw values in [0, 1] by the inverse of the distribution function.

        The draw is differentiable in the logits: (*sample_shape, batch, *event).
        """
        shape = sampled_shape(self.logits, sample_shape)
        uniform = keras.random.uniform(shape, dtype="float32", seed=seed)
        # log(1 + U (e^l - 1)) / l would overflow for large l; 1 - X has the law for -l.
        negative = -ops.abs(self.logits)
        near_zero = negative > -1e-3
        safe = ops.where(near_zero, -1.0, negative)
        closed = ops.log1p(uniform * ops.expm1(safe)) / safe
        far = ops.where(self.logits > 0.0, 1.0 - closed, closed)
        series = uniform * (1.0 + 0.5 * self.logits * (1.0 - uniform))
        return ops.where(near_zero, series, far)

    def mean(self) -> Tensor:
        """The expected value in (0, 1)."""
        return continuous_bernoulli_mean(self.logits)

    def mode(self) -> Tensor:
        """The end of [0, 1] at which the density is larger."""
        return ops.cast(self.logits > 0.0, "float32")

    def best_constant(self, x: np.ndarray) -> "ContinuousBernoulli":
        """The continuous Bernoulli whose mean is that of x, by Laplace's rule.

        An exponential family fits best where the means agree. The rule bounds the density of a
        dimension that is 0 in all data, which would grow without end.
        """
        mean = laplace_mean(x.sum(axis=0, dtype="float64"), len(x))
        logits = np.broadcast_to(_logits_of_mean(mean), x.shape)
        return ContinuousBernoulli(logits, self.event_rank)


def _logits_of_mean(mean: np.ndarray) -> np.ndarray:
    """The logits of continuous Bernoullis with these means in (0, 1), by bisection in float64."""
    # Near its ends the mean is 1 / |logits|.
    high = 2.0 / np.minimum(mean, 1.0 - mean)
    low = -high
    for _ in range(80):
        u = 0.25 * (low + high)
        near = np.abs(u) < 1e-4
        far = np.where(near, 1.0, u)
        middle = 0.5 + 0.5 * np.where(near, u / 3.0, 1.0 / np.tanh(far) - 1.0 / far)
        low, high = np.where(middle < mean, 2.0 * u, low), np.where(middle < mean, high, 2.0 * u)
    return 0.5 * (low + high)
