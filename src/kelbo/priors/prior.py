"""The contract of a prior p(z)."""

import abc
from typing import Any

import keras

from kelbo.distributions.distribution import Distribution


class Prior(keras.Layer, abc.ABC):
    """p(z), a layer so that it may have weights; they are made in `build(latent_shape)`."""

    @abc.abstractmethod
    def distribution(self, posterior: Any = None) -> Distribution:
        """The distribution of one z, without a batch axis: parameters (latent_dim,).

        Args:
            posterior: the model's q(z|x), for priors that are made of it.
        """
