"""The Householder flow: reflections that turn a diagonal Gaussian into one with correlations."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.bijector import Bijector, no_change
from kelbo.distributions.distribution import Tensor
from kelbo.distributions.sphere import on_sphere
from kelbo.flows.flow import AmortisedFlow


class Householder(Bijector):
    """f(z) = z - 2 v (v'z) / |v|^2, the reflection across the plane at right angles to v.

    Tomczak and Welling, "Improving variational auto-encoders using Householder flow", 2016,
    section 3. It is its own inverse and changes no volume.

    Args:
        v: (batch, d).
    """

    affine = True

    def __init__(self, v: Tensor):
        self.v = on_sphere(v)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reflection, and a log-determinant of 0."""
        along = ops.sum(self.v * x, axis=-1, keepdims=True)
        return x - 2.0 * along * self.v, no_change(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The reflection once more."""
        return self.forward(y)


@keras.saving.register_keras_serializable("kelbo")
class HouseholderFlow(AmortisedFlow):
    """A chain of reflections, whose vectors v the encoder gives for each datum.

    On a diagonal Gaussian with d reflections it reaches every covariance. The paper makes each v
    of the one before by a linear layer; here a linear layer on the features gives them all.

    Args:
        num_layers: of reflections; d numbers of the encoder for each.
    """

    parameter = "householder"

    def __init__(self, num_layers: int = 4, **kwargs: Any):
        super().__init__(num_layers, **kwargs)

    def sizes(self, latent_dim: int) -> list[int]:
        """Of v."""
        return [latent_dim]

    def one(self, parameters: list[Tensor]) -> Householder:
        """The reflection of v."""
        return Householder(*parameters)
