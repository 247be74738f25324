"""The von Mises-Fisher distribution on the unit sphere."""

import math
from typing import Any

import keras
from keras import ops

from kelbo.distributions.bessel import bessel_ratio, log_scaled_bessel
from kelbo.distributions.distribution import Distribution, Tensor, float32, sampled_shape
from kelbo.distributions.sphere import log_area, on_sphere
from kelbo.seeds import distinct

# Bins of the angle's density. With so many a draw's density is within 3e-5 nats of the exact one.
_BINS = 1024
_HALVES = [_BINS >> power for power in range(1, _BINS.bit_length())]
# Half the width of the bins' range in standard deviations of the angle, at least.
_REACH = 10.0


class VonMisesFisher(Distribution):
    """Density proportional to exp(kappa mu'z) on the unit sphere S^(d-1), with respect to its area.

    Davidson et al., "Hyperspherical variational auto-encoders", 2018, section 2.2. kappa = 0 is the
    uniform distribution.

    Args:
        mu: mean directions of length 1, (batch, d), d >= 2.
        kappa: concentrations >= 0, (batch, 1).
    """

    def __init__(self, mu: Tensor, kappa: Tensor):
        super().__init__(event_rank=1)
        self.mu = float32(mu)
        self.kappa = float32(kappa)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.mu.shape[-1])

    @property
    def _order(self) -> float:
        """Of the Bessel function in the density."""
        return 0.5 * self.dimension - 1.0

    def log_ratio_to_uniform(self, cosine: Tensor) -> Tensor:
        """Log of the density over the uniform one, at points with this cosine to mu, elementwise.

        (kappa / 2)^v / (Gamma(v + 1) I_v(kappa)) exp(kappa cosine), v = d / 2 - 1: both densities
        have the area in common, so that nothing of the sphere's size is left.
        """
        kappa = self.kappa[..., 0]
        return kappa * (cosine - 1.0) - log_scaled_bessel(self._order, kappa)

    def mean_resultant_length(self) -> Tensor:
        """A = E[mu'z] = I_(d/2)(kappa) / I_(d/2-1)(kappa), in [0, 1): (batch, 1)."""
        return bessel_ratio(self._order, self.kappa)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, d) -> (S..., batch)."""
        cosine = ops.sum(float32(value) * self.mu, axis=-1)
        return self.log_ratio_to_uniform(cosine) - log_area(self.dimension)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw points: (*sample_shape, batch, d).

        The angle to mu is drawn by the inverse of its distribution function, tabulated in bins, and
        the rest is uniform around mu. So a draw takes the same work every time, and it is
        differentiable in mu and kappa without the correction term that the paper's rejection
        sampler needs (section 3.3).
        """
        of_angle, of_rest = distinct(seed, 2)
        angle = self._angle(of_angle, sample_shape)[..., None]
        noise = keras.random.normal(
            sampled_shape(self.mu, sample_shape), dtype="float32", seed=of_rest
        )
        # Rounding may leave much along mu beside a short rest; the second turn removes it.
        rest = self._across(self._across(noise))
        return ops.cos(angle) * self.mu + ops.sin(angle) * rest

    def _across(self, vector: Tensor) -> Tensor:
        """The direction of the part of a vector at right angles to mu."""
        along = ops.sum(vector * self.mu, axis=-1, keepdims=True)
        return on_sphere(vector - along * self.mu)

    def _angle(self, seed: Any, sample_shape: tuple[int, ...]) -> Tensor:
        """Angles in [0, pi], of density ~ sin^(d-2) exp(kappa cos): (*sample_shape, batch)."""
        low, width = self._bins()
        middles = low + width * (ops.arange(_BINS, dtype="float32") + 0.5)  # (batch, _BINS)
        log_density = (self.dimension - 2.0) * ops.log(ops.sin(middles))
        log_density = log_density - 2.0 * self.kappa * ops.square(ops.sin(0.5 * middles))
        below = ops.cumsum(ops.softmax(log_density, axis=-1), axis=-1)
        count = math.prod(sample_shape)
        shape = (ops.shape(self.kappa)[0], count)
        uniform = keras.random.uniform(shape, dtype="float32", seed=seed)
        # The bin of each draw, by halving: as many bins end below it.
        bins = ops.zeros_like(uniform, dtype="int32")
        for step in _HALVES:
            is_past = uniform > ops.take_along_axis(below, bins + (step - 1), axis=-1)
            bins = bins + step * ops.cast(is_past, "int32")
        # Inside its bin the distribution function is a straight line, from `start` to `end`.
        start = ops.take_along_axis(below, ops.maximum(bins - 1, 0), axis=-1)
        start = ops.where(bins > 0, start, 0.0)
        end = ops.take_along_axis(below, bins, axis=-1)
        share = (uniform - start) / ops.maximum(end - start, 1e-9)
        angle = low + width * (ops.cast(bins, "float32") + ops.clip(share, 0.0, 1.0))
        return ops.reshape(ops.transpose(angle), (*sample_shape, -1))

    def _bins(self) -> tuple[Tensor, Tensor]:
        """Where the bins of the angle begin and how wide they are, (batch, 1) each.

        Nothing depends on where they lie, so no gradient flows through it.
        """
        kappa = ops.stop_gradient(self.kappa)
        power = self.dimension - 2.0
        # The density is largest where power cos = kappa sin^2.
        both = power + ops.sqrt(power**2 + 4.0 * ops.square(kappa))
        both = ops.maximum(both, 1e-9)  # 0 on the uniform circle, where all of [0, pi] is wanted
        cosine, sine = 2.0 * kappa / both, ops.sqrt(2.0 * power / both)
        peak = ops.arctan2(sine, cosine)
        reach = _REACH / ops.sqrt(0.5 * both + kappa * cosine)
        low = ops.maximum(peak - reach, 0.0)
        high = ops.minimum(peak + reach, math.pi)
        return low, (high - low) / _BINS

    def mean(self) -> Tensor:
        """The expected value A mu, (batch, d), which lies inside the sphere."""
        return self.mean_resultant_length() * self.mu

    def mode(self) -> Tensor:
        """The most probable value, mu."""
        return self.mu

    def code(self) -> Tensor:
        """The mean direction mu: the mean itself is not on the sphere, where all draws are."""
        return self.mu
