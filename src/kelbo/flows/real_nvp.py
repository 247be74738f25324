"""RealNVP: affine couplings, in which half of z decides how the other half is moved."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.bijector import Bijector, Reverse
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.flows.conditioner import Conditioner, Shift
from kelbo.flows.flow import Flow
from kelbo.kinds import at_least_one


class Coupling(Bijector):
    """y_a = x_a, y_b = x_b exp(s(x_a)) + t(x_a): either direction is one pass.

    Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017, equations 4 and 5;
    the log-determinant is the sum of s (equation 6).

    Args:
        shift: x_a to t and s.
        kept: the number of dimensions in x_a, the first ones.
    """

    def __init__(self, shift: Shift, kept: int):
        self.shift = shift
        self.kept = kept

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The second half moved."""
        first, second = x[..., : self.kept], x[..., self.kept :]
        shift, log_scale = self.shift(first)
        moved = second * ops.exp(log_scale) + shift
        return ops.concatenate([first, moved], axis=-1), ops.sum(log_scale, axis=-1)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The second half moved back."""
        first, second = y[..., : self.kept], y[..., self.kept :]
        shift, log_scale = self.shift(first)
        moved = (second - shift) * ops.exp(-log_scale)
        return ops.concatenate([first, moved], axis=-1), -ops.sum(log_scale, axis=-1)


@keras.saving.register_keras_serializable("kelbo")
class RealNVPFlow(Flow):
    """A chain of affine couplings, with the order of the dimensions reversed between them.

    All data share its weights. The networks s and t are one of two hidden tanh layers; s is bounded
    by 3 tanh(s / 3), and there is no batch normalisation.

    Args:
        num_layers: of couplings, at least 2, so that every dimension is moved.
        hidden_units: the width of each hidden layer.

    Raises:
        UsageError: a size is no whole number, or too small.
    """

    def __init__(self, num_layers: int = 6, hidden_units: int = 64, **kwargs: Any):
        super().__init__(num_layers, **kwargs)
        self.hidden_units = at_least_one(type(self).__name__, "hidden_units", hidden_units)
        if self.num_layers < 2:
            raise UsageError(
                "One coupling leaves half of z as it is: a RealNVPFlow expects num_layers >= 2, "
                f"received {self.num_layers}."
            )

    def build(self, latent_dim: int, has_encoder: bool = False) -> None:
        """Make the weights.

        Raises:
            UsageError: z has one dimension, which has no half.
        """
        if latent_dim < 2:
            raise UsageError(
                "A coupling moves one half of z by the other, and z has one dimension here. Take "
                "latent_dim >= 2 or kelbo.MixturePrior."
            )
        kept = self.kept = latent_dim // 2
        self.conditioners = []
        for index in range(self.num_layers):
            sizes = [kept, self.hidden_units, self.hidden_units, 2 * (latent_dim - kept)]
            masks = [np.ones(shape) for shape in zip(sizes[:-1], sizes[1:], strict=True)]
            self.conditioners.append(Conditioner(masks, name=f"coupling_{index + 1}"))
            self.conditioners[-1].build()
        super().build(latent_dim, has_encoder)

    def bijectors(self, parameters: dict[str, Tensor]) -> list[Bijector]:
        """Couplings, each but the last with a reversal after it."""
        chain: list[Bijector] = []
        for index, conditioner in enumerate(self.conditioners):
            chain += [Reverse()] if index else []
            chain.append(Coupling(conditioner.value(), self.kept))
        return chain

    def get_config(self) -> dict[str, Any]:
        """The sizes and the layer's own settings."""
        return {**super().get_config(), "hidden_units": self.hidden_units}
