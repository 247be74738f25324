"""The planar flow: each layer pushes z along one direction, by how far it is along another."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.bijector import Bijector
from kelbo.distributions.distribution import Tensor
from kelbo.flows.flow import ONE, AmortisedFlow


class Planar(Bijector):
    """f(z) = z + u tanh(w'z + b).

    Rezende and Mohamed, "Variational inference with normalizing flows", 2015, equations 10 to 12.
    It is invertible where w'u > -1, so u is moved along w (their appendix A.1):
    u^ = u + (m(w'u) - w'u) w / |w|^2. Their m(a) = softplus(a) - 1 makes u^ infinite as w goes to
    0; m(a) = softplus(a + log(e - 1)) - 1 has the same range, and m(0) = 0 keeps u^ finite.

    Args:
        u: (batch, d).
        w: (batch, d).
        b: (batch, 1).
    """

    def __init__(self, u: Tensor, w: Tensor, b: Tensor):
        along = ops.sum(w * u, axis=-1, keepdims=True)
        moved = ops.softplus(along + ONE) - 1.0
        length = ops.sum(ops.square(w), axis=-1, keepdims=True)
        self.u = u + (moved - along) * w / ops.maximum(length, 1e-12)
        self.w = w
        self.b = b
        self.along = moved[..., 0]  # w'u^ > -1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f, and log |1 + (1 - tanh^2) w'u|, which is a log of a positive number."""
        bent = ops.tanh(ops.sum(self.w * x, axis=-1, keepdims=True) + self.b)
        slope = 1.0 - ops.square(bent[..., 0])
        return x + self.u * bent, ops.log1p(slope * self.along)


@keras.saving.register_keras_serializable("kelbo")
class PlanarFlow(AmortisedFlow):
    """A chain of planar maps, whose u, w and b the encoder gives for each datum.

    For posteriors: the inverse is no formula.

    Args:
        num_layers: of maps; 2d + 1 numbers of the encoder for each.
    """

    invertible = False
    parameter = "planar"

    def __init__(self, num_layers: int = 8, **kwargs: Any):
        super().__init__(num_layers, **kwargs)

    def sizes(self, latent_dim: int) -> list[int]:
        """Of u, w and b."""
        return [latent_dim, latent_dim, 1]

    def one(self, parameters: list[Tensor]) -> Planar:
        """The map of u, w and b."""
        return Planar(*parameters)
