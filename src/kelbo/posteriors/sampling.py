"""The layer that draws z in a plain keras encoder."""

import abc
from typing import Any

import keras
from keras import layers

from kelbo.distributions.distribution import Distribution, Tensor


class Sampling(layers.Layer, abc.ABC):
    """Draws one z for each row, afresh at each call, from the parameters of q(z|x) by name."""

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @abc.abstractmethod
    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The distribution with these parameters."""

    def call(self, parameters: dict[str, Tensor]) -> Tensor:
        """Draw one z for each row: (batch, latent_dim)."""
        return self.distribution(parameters).sample(self.seed_generator)

    def compute_output_shape(self, parameters_shape: dict[str, tuple]) -> tuple:
        """That of mu."""
        return tuple(parameters_shape["mu"])

    def get_config(self) -> dict[str, Any]:
        """The seed and the layer's own settings."""
        return {**super().get_config(), "seed": self.seed}
