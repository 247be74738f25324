"""The contract of a prior p(z), or p(z|c) where it depends on conditions."""

import abc
from collections.abc import Callable
from typing import Any

import keras

from kelbo.conditional import float32_layer
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.posteriors import Posterior


class Prior(keras.Layer, abc.ABC):
    """p(z | context); a layer, so that it may have weights and networks.

    Weights are made in `build(latent_shape)`, whose argument is the shape of one z. Networks run
    in `call`, never in `distribution`, so that Keras traces them with the rest of the model.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**float32_layer(type(self).__name__, kwargs))

    # The conditions that `call` asks for by name, with the shape of each; none of p(z) alone.
    context_shapes: dict[str, tuple[int, ...]] = {}

    def build(self, latent_shape: tuple[int, ...]) -> None:
        """Take the shape of z."""
        self.latent_shape = tuple(latent_shape)
        self.built = True

    def check_posterior(self, posterior: Posterior) -> None:
        """Refuse a posterior whose draws this prior has no density for.

        Args:
            posterior: q(z|x).

        Raises:
            UsageError: with what works instead.
        """
        if posterior.on_sphere:
            raise UsageError(
                f"A {type(posterior).__name__} draws z on the unit sphere, where a "
                f"{type(self).__name__} has no density: no KL of one from the other exists. Use "
                "prior=kelbo.UniformSpherePrior() or kelbo.VampPrior(), or a posterior of all real "
                "z such as kelbo.GaussianPosterior."
            )

    def join(self, posterior: Posterior, likelihood: Likelihood) -> None:
        """Be joined with the other parts of a model, before `build`: the model calls this.

        Args:
            posterior: q(z|x).
            likelihood: p(x|z).

        Raises:
            UsageError: the parts do not go together.
        """
        self.check_posterior(posterior)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of values, which Keras shows in `summary`."""
        return (None, *self.latent_shape)

    def call(
        self,
        context: dict[str, Tensor] | None = None,
        *,
        posterior: Callable[[Tensor], Distribution] | None = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        """Parameters of p(z | context); {} where it has none.

        Args:
            context: the conditions in `context_shapes`, (batch, *shape) each.
            posterior: x to q(z|x), for a prior that is made of it, such as the VampPrior.
            training: to be handed on to networks.
        """
        return {}

    @abc.abstractmethod
    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The distribution with these parameters.

        Without a context its parameters have no batch axis, and `sample(seed, (n,))` draws n;
        with one, they have the context's.
        """
