"""The standard normal prior p(z) = N(0, I)."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions import Normal
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class StandardNormalPrior(Prior):
    """N(0, I) (Kingma and Welling 2014)."""

    def build(self, latent_shape: tuple[int, ...]) -> None:
        """Take the size of z; there are no weights."""
        self.latent_shape = tuple(latent_shape)
        self.built = True

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of values, which Keras shows in `summary`."""
        return (None, *self.latent_shape)

    def distribution(self, posterior: Any = None) -> Normal:
        """N(0, I) with parameters of shape (latent_dim,)."""
        return Normal(ops.zeros(self.latent_shape), ops.zeros(self.latent_shape))
