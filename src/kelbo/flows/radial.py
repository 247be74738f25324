"""The radial flow: each layer pushes z away from a point, or draws it nearer."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.bijector import Bijector
from kelbo.distributions.distribution import Tensor
from kelbo.flows.flow import ONE, AmortisedFlow


class Radial(Bijector):
    """f(z) = z + beta (z - c) / (alpha + r), r = |z - c|.

    Rezende and Mohamed, "Variational inference with normalizing flows", 2015, equations 13 and 14.
    alpha = exp(log_alpha), and it is invertible where beta > -alpha:
    beta = softplus(b + log(e - 1)) - alpha (their appendix A.2; at b = 0 and log_alpha = 0 nothing
    moves). Along each ray it is a quadratic equation, so
    the inverse is a formula.

    Args:
        centre: c, (batch, d).
        log_alpha: (batch, 1).
        b: (batch, 1).
    """

    def __init__(self, centre: Tensor, log_alpha: Tensor, b: Tensor):
        self.centre = centre
        self.alpha = ops.exp(log_alpha)
        self.stretch = ops.softplus(b + ONE)  # alpha + beta > 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f and its log-determinant."""
        offset = x - self.centre
        r = _length(offset)
        factor = self._factor(r)
        return self.centre + factor * offset, self._log_det(r, factor, x.shape[-1])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The positive root of r^2 + (alpha + beta - s) r - alpha s = 0, s the distance of y."""
        offset = y - self.centre
        s = _length(offset)
        half = 0.5 * (s - self.stretch)
        root = ops.sqrt(ops.square(half) + self.alpha * s)
        # Of the two forms of the root each cancels where the other does not.
        r = ops.where(half > 0.0, half + root, self.alpha * s / (root + ops.abs(half)))
        factor = self._factor(r)
        return self.centre + offset / factor, -self._log_det(r, factor, y.shape[-1])

    def _factor(self, r: Tensor) -> Tensor:
        """By which an offset is longer: 1 + beta / (alpha + r) > 0."""
        return (self.stretch + r) / (self.alpha + r)

    def _log_det(self, r: Tensor, factor: Tensor, dimension: int) -> Tensor:
        """d - 1 directions across the ray, and 1 + alpha beta / (alpha + r)^2 along it."""
        inner = self.alpha / (self.alpha + r)
        along = (r * (1.0 + inner) + self.stretch * inner) / (self.alpha + r)
        return ((dimension - 1.0) * ops.log(factor) + ops.log(along))[..., 0]


def _length(offset: Tensor) -> Tensor:
    """|offset|, (..., 1); its root must not be taken at 0, where it has no gradient."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(offset), axis=-1, keepdims=True), 1e-20))


@keras.saving.register_keras_serializable("kelbo")
class RadialFlow(AmortisedFlow):
    """A chain of radial maps, whose centre, alpha and beta the encoder gives for each datum.

    Args:
        num_layers: of maps; d + 2 numbers of the encoder for each.
    """

    parameter = "radial"

    def __init__(self, num_layers: int = 8, **kwargs: Any):
        super().__init__(num_layers, **kwargs)

    def sizes(self, latent_dim: int) -> list[int]:
        """Of the centre, log alpha and what beta is made of."""
        return [latent_dim, 1, 1]

    def one(self, parameters: list[Tensor]) -> Radial:
        """The map of a centre, log alpha and what beta is made of."""
        return Radial(*parameters)
