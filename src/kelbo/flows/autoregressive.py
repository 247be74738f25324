"""Autoregressive flows: each dimension of z is moved by what the dimensions before it say."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.bijector import Bijector, Inverse, Reverse
from kelbo.distributions.distribution import Tensor
from kelbo.flows.conditioner import Conditioner, Shift
from kelbo.flows.flow import Flow
from kelbo.kinds import at_least_one


class Autoregressive(Bijector):
    """y_i = x_i exp(s_i(x_1..i-1)) + t_i(x_1..i-1): forward is one pass, the inverse d passes.

    Kingma et al., "Improving variational inference with inverse autoregressive flow", 2016,
    section 3; the log-determinant is the sum of s.

    Args:
        shift: x to t and s, each of which sees the dimensions before its own alone.
    """

    def __init__(self, shift: Shift):
        self.shift = shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All dimensions at once."""
        shift, log_scale = self.shift(x)
        return x * ops.exp(log_scale) + shift, ops.sum(log_scale, axis=-1)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """One dimension after the other: pass i makes the i-th right, and leaves those before it.

        The log-determinant is differentiable in y as everything is, at the price of d passes.
        """
        x = log_scale = y
        for _ in range(y.shape[-1]):
            shift, log_scale = self.shift(x)
            x = (y - shift) * ops.exp(-log_scale)
        return x, -ops.sum(log_scale, axis=-1)


def made_masks(latent_dim: int, hidden_units: int) -> list[np.ndarray]:
    """Which units see which, in two hidden layers and an output of shifts and log-scales.

    Germain et al., "MADE: masked autoencoder for distribution estimation", 2015, equations 12 and
    13. Hidden units of degree k see the first k dimensions. Those of degree 0 see none of z: they
    carry a context to every output.

    Returns:
        (inputs, outputs) of each of the three layers, 0 or 1.
    """
    of_z = np.arange(1, latent_dim + 1)
    hidden = np.arange(hidden_units) % latent_dim
    seen_by = [of_z, hidden, hidden]
    masks = [(before[:, None] <= hidden) for before in seen_by[:2]]
    last = hidden[:, None] < np.tile(of_z, 2)
    return [*masks, last]


class _Masked(Flow):
    """A chain of autoregressive maps, with the order of the dimensions reversed between them.

    Args:
        num_layers: of maps.
        hidden_units: the width of each hidden layer; at least d, so that no dimension is left out.
        context_units: how many numbers the encoder says of each datum to all maps.
    """

    def __init__(self, num_layers: int, hidden_units: int, context_units: int = 0, **kwargs: Any):
        super().__init__(num_layers, **kwargs)
        self.hidden_units = at_least_one(type(self).__name__, "hidden_units", hidden_units)
        self.context_units = context_units

    def build(self, latent_dim: int, has_encoder: bool = False) -> None:
        """Make the weights."""
        masks = made_masks(latent_dim, max(self.hidden_units, latent_dim))
        units = self.context_units if has_encoder else 0
        self.conditioners = []
        for index in range(self.num_layers):
            self.conditioners.append(Conditioner(masks, units, name=f"made_{index + 1}"))
            self.conditioners[-1].build()
        super().build(latent_dim, has_encoder)

    def maps(self, context: Tensor | None = None) -> list[Bijector]:
        """The maps, each but the last with a reversal after it."""
        chain: list[Bijector] = []
        for index, conditioner in enumerate(self.conditioners):
            chain += [Reverse()] if index else []
            chain.append(Autoregressive(conditioner.value(context)))
        return chain

    def get_config(self) -> dict[str, Any]:
        """The sizes and the layer's own settings."""
        return {**super().get_config(), "hidden_units": self.hidden_units}


@keras.saving.register_keras_serializable("kelbo")
class MaskedAutoregressiveFlow(_Masked):
    """Autoregressive maps from z to the base, for priors: a density is one pass, a draw d passes.

    Papamakarios, Pavlakou and Murray, "Masked autoregressive flow for density estimation", 2017,
    section 3. s is bounded by 3 tanh(s / 3), and there is no batch normalisation. All data share
    its weights.

    Args:
        num_layers: of maps.
        hidden_units: the width of each of the two hidden layers of a map; d where that is more.

    Raises:
        UsageError: a size is no whole number >= 1.
    """

    def __init__(self, num_layers: int = 4, hidden_units: int = 64, **kwargs: Any):
        super().__init__(num_layers, hidden_units, **kwargs)

    def bijectors(self, parameters: dict[str, Tensor]) -> list[Bijector]:
        """The maps backwards: from the base to z."""
        return [Inverse(each) for each in reversed(self.maps())]


@keras.saving.register_keras_serializable("kelbo")
class InverseAutoregressiveFlow(_Masked):
    """Autoregressive maps from the base to z, for posteriors: a draw with its density is one pass.

    Kingma et al., "Improving variational inference with inverse autoregressive flow", 2016,
    Algorithm 1, with a scale exp(s), s bounded by 3 tanh(s / 3), in the place of its gate. The
    encoder gives each datum a context, which every map sees beside z. The density of another z
    than a draw takes d passes.

    Args:
        num_layers: of maps.
        hidden_units: the width of each of the two hidden layers of a map; d where that is more.
        context_units: how many numbers of context there are.

    Raises:
        UsageError: a size is no whole number >= 1.
    """

    def __init__(
        self,
        num_layers: int = 4,
        hidden_units: int = 64,
        context_units: int = 32,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        context_units = at_least_one(owner, "context_units", context_units)
        super().__init__(num_layers, hidden_units, context_units, **kwargs)

    def head_sizes(self, latent_dim: int) -> dict[str, int]:
        """Of the context."""
        return {"context": self.context_units}

    def bijectors(self, parameters: dict[str, Tensor]) -> list[Bijector]:
        """The maps from the base to z."""
        return self.maps(parameters.get("context"))

    def get_config(self) -> dict[str, Any]:
        """The sizes and the layer's own settings."""
        return {**super().get_config(), "context_units": self.context_units}
