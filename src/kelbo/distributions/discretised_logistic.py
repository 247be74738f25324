"""The logistic distribution on the 256 levels of 8-bit pixels, with independent dimensions.

Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016; Salimans et
al., "PixelCNN++", 2017, section 2.1. Locations and scales are on the papers' axis, y = 2 x - 1 in
[-1, 1], on which a level is 2 / 255 wide.
"""

from typing import Any

from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import logistic
from kelbo.distributions.special import log_of_difference

# A pixel x = k / 255 has the level k, 0 to HIGHEST.
HIGHEST = 255
_HALF_A_LEVEL = 1.0 / HIGHEST
# PixelCNN++ lets no scale be smaller: all of the probability is then on three levels at most.
SMALLEST_LOG_SCALE = -7.0


def as_levels(x: Tensor) -> Tensor:
    """The levels of pixels k / 255 in [0, 1]: whole numbers k, as float32."""
    return ops.round(float32(x) * HIGHEST)


def axis(level: Tensor) -> Tensor:
    """The place y in [-1, 1] of each level."""
    return (2.0 * level - HIGHEST) / HIGHEST


def log_prob_of_levels(level: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability in nats of each level: the mass of the logistic within half a level of it.

    The lowest level also has all mass below it, the highest all above: the levels sum to one.

    Args:
        level: whole numbers, 0 to 255.
        location: on the axis of y, broadcastable to `level`.
        log_scale: likewise, at least SMALLEST_LOG_SCALE.
    """
    inverse = ops.exp(-log_scale)
    distance = axis(level) - location
    upper, lower = (distance + _HALF_A_LEVEL) * inverse, (distance - _HALF_A_LEVEL) * inverse
    return ops.where(
        level < 0.5,
        -ops.softplus(-upper),
        ops.where(level > HIGHEST - 0.5, -ops.softplus(lower), log_of_difference(upper, lower)),
    )


def levels_of(y: Tensor) -> Tensor:
    """The level to whose share of the axis each y belongs."""
    return ops.clip(ops.round(0.5 * (y + 1.0) * HIGHEST), 0.0, HIGHEST)


def mean_of_levels(location: Tensor, log_scale: Tensor) -> Tensor:
    """The expected place y of a level.

    The exact mean is a sum over 255 edges, each the midpoint of its share of [-1, 1]. This is the
    integral instead: it agrees to 1e-6 from a scale of one level, 2 / 255, on, and to half a level
    for whatever is narrower.
    """
    scale = ops.exp(log_scale)
    above, below = (location + 1.0) / scale, (location - 1.0) / scale
    return scale * (ops.softplus(above) - ops.softplus(below)) - 1.0


class DiscretisedLogistic(Factorised):
    """A logistic variable y, rounded to the nearest of the 256 levels; values are k / 255.

    `log_prob` is a log-probability, in nats for each dimension, and no density: of 256 equally
    probable levels each has log(1 / 256) = -5.545.

    Args:
        location: the median of y = 2 x - 1, (S..., batch, *event).
        log_scale: the logarithm of the scale of y, broadcastable to `location`; what is below -7
            counts as -7.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, location: Tensor, log_scale: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.location = float32(location)
        self.log_scale = ops.maximum(float32(log_scale), SMALLEST_LOG_SCALE)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced."""
        return log_prob_of_levels(as_levels(value), self.location, self.log_scale)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw pixels k / 255: (*sample_shape, batch, *event), float32."""
        noise = logistic(sampled_shape(self.location, sample_shape), seed)
        return levels_of(self.location + ops.exp(self.log_scale) * noise) / HIGHEST

    def mean(self) -> Tensor:
        """The expected pixel in [0, 1]: see `mean_of_levels` for its last digits."""
        return 0.5 * (mean_of_levels(self.location, self.log_scale) + 1.0)

    def mode(self) -> Tensor:
        """The most probable pixel: the level nearest to the location, or an end of the axis."""
        best = levels_of(self.location)
        for level in (0.0, float(HIGHEST)):
            end = ops.full_like(best, level)
            is_more = self._log_prob(end) > self._log_prob(best)
            best = ops.where(is_more, end, best)
        return best / HIGHEST

    def _log_prob(self, level: Tensor) -> Tensor:
        return log_prob_of_levels(level, self.location, self.log_scale)
