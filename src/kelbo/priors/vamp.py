"""The VampPrior: a mixture of the posteriors of learned pseudo-inputs."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions import Distribution, Mixture
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.kinds import at_least_one
from kelbo.likelihoods import Likelihood
from kelbo.posteriors import Posterior
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class WithinSupport(keras.constraints.Constraint):
    """Puts a weight back between `low` and `high` after each training step; None is no bound."""

    def __init__(self, low: float | None, high: float | None):
        self.low = low
        self.high = high

    def __call__(self, value: Tensor) -> Tensor:
        """The nearest value within."""
        value = value if self.low is None else ops.maximum(value, self.low)
        return value if self.high is None else ops.minimum(value, self.high)

    def get_config(self) -> dict[str, Any]:
        """The ends."""
        return {"low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("kelbo")
class VampPrior(Prior):
    """p(z) = 1/K sum_k q(z|u_k), u_k learned pseudo-inputs in the space of the data.

    Tomczak and Welling, "VAE with a VampPrior", 2018, equation 9. q is the model's own posterior,
    of any kind whose density is known at any z. The pseudo-inputs stay within the support of the
    data, such as [0, 1]: each training step ends with the nearest values within it, where the
    paper's hard tanh would leave a pixel without a gradient. The KL is estimated from the draws.

    A training step encodes K data more than its batch, and a density of z is one of K posteriors.

    Args:
        num_components: K; with `initial` as many as it has.
        initial: data to begin with, (K, *data_shape), which is what the paper's images come near
            to. Where None they begin uniform in the support, or as draws from N(0, 1) where that
            has no two ends.
        data_shape: the shape of one datum; the model that takes the prior says it.
        support: the lowest and the highest value of a datum, (low, high), None for an end that
            there is not; the likelihood of the model that takes the prior says it.

    Raises:
        UsageError: K is no whole number >= 1, or `initial` has another shape than data.
    """

    def __init__(
        self,
        num_components: int = 500,
        initial: np.ndarray | None = None,
        data_shape: Sequence[int] | None = None,
        support: Sequence[float | None] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        count = num_components if initial is None else len(initial)
        self.num_components = at_least_one(type(self).__name__, "num_components", count)
        self.data_shape = None if data_shape is None else tuple(data_shape)
        self.support = None if support is None else (support[0], support[1])
        # Past Keras's tracking: an array is no state, and the posterior is the model's.
        self.__dict__["_initial"] = None if initial is None else np.asarray(initial, "float32")
        self.__dict__["_posterior"] = None

    def check_posterior(self, posterior: Posterior) -> None:
        """Refuse a posterior that no pseudo-input can be made for.

        Raises:
            UsageError: with what works instead.
        """
        owner = type(posterior).__name__
        if not posterior.has_log_prob:
            raise UsageError(
                f"A VampPrior asks for log q(z|u) of any z, and the {owner} here knows that of its "
                "own draws alone. Use kelbo.GaussianPosterior or kelbo.FullCovariancePosterior, or "
                "a FlowPosterior with the radial, Householder or inverse autoregressive flow."
            )
        if len(posterior.context_shapes) > 1:
            raise UsageError(
                f"A VampPrior is made of q(z|u), but the {owner} here has conditions, for which "
                "there are no pseudo-inputs. Use kelbo.StandardNormalPrior or kelbo.MixturePrior."
            )
        if "float" not in str(posterior.network.inputs[0].dtype):
            raise UsageError(
                f"A VampPrior learns pseudo-inputs by their gradient, but the {owner} here takes "
                "whole numbers. Use kelbo.StandardNormalPrior or kelbo.MixturePrior."
            )
        if self.data_shape not in (None, posterior.context_shape):
            raise UsageError(
                f"The pseudo-inputs of this VampPrior have the shape {self.data_shape}, but the "
                f"{owner} takes data of shape {posterior.context_shape}. Leave data_shape out."
            )
        joined = self.__dict__["_posterior"]
        if joined is not None and joined is not posterior:
            raise UsageError(
                "This VampPrior is that of another model, whose posterior it is made of. Make a "
                "VampPrior for each posterior."
            )

    def join(self, posterior: Posterior, likelihood: Likelihood) -> None:
        """Take the posterior, and from the data their shape and support.

        Raises:
            UsageError: the posterior does not fit.
        """
        super().join(posterior, likelihood)
        self.__dict__["_posterior"] = posterior
        self.data_shape = posterior.context_shape
        if self.support is None:
            low, high = likelihood.support.low, likelihood.support.high
            # A file cannot hold infinity.
            self.support = (
                low if math.isfinite(low) else None,
                high if math.isfinite(high) else None,
            )

    def build(self, latent_shape: tuple[int, ...]) -> None:
        """Make the pseudo-inputs.

        Raises:
            UsageError: `initial` has another shape than data, or the shape of data is not known.
        """
        if self.data_shape is None:
            raise UsageError(
                "The shape of data is not known before the prior is part of a model. Hand it to "
                "kelbo.VAE(posterior, likelihood, prior=kelbo.VampPrior(500)), or give data_shape."
            )
        shape, initial = (self.num_components, *self.data_shape), self.__dict__["_initial"]
        if initial is not None and initial.shape != shape:
            raise UsageError(
                f"A VampPrior expected initial pseudo-inputs of shape {shape}, the first number of "
                f"which is K, received {initial.shape}."
            )
        self.u = self.add_weight(
            shape=shape, initializer=self._first, constraint=self._within, name="pseudo_inputs"
        )
        super().build(latent_shape)

    @property
    def _within(self) -> WithinSupport:
        low, high = self.support or (None, None)
        return WithinSupport(low, high)

    def _first(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """The pseudo-inputs before training."""
        initial, within = self.__dict__["_initial"], self._within
        if initial is not None:
            return within(ops.convert_to_tensor(initial))
        if None in (within.low, within.high):
            return within(keras.random.normal(shape, dtype="float32"))
        return keras.random.uniform(shape, within.low, within.high, dtype="float32")

    def call(self, context: Any = None, *, training: bool | None = None, **kwargs: Any) -> Any:
        """The parameters of q(z|u_k), of all k, by name: (K, ...) each."""
        return self._joined(ops.convert_to_tensor(self.u), training=training)

    @property
    def _joined(self) -> Posterior:
        posterior: Posterior | None = self.__dict__["_posterior"]
        if posterior is None:
            raise UsageError(
                "A VampPrior is made of a model's posterior: hand it to "
                "kelbo.VAE(posterior, likelihood, prior=kelbo.VampPrior(500)) first."
            )
        return posterior

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The mixture of the posteriors, all of one weight."""
        posterior = self._joined
        logits = ops.zeros((self.num_components,))
        return Mixture(logits, parameters, posterior.distribution, posterior.event_rank)

    def get_config(self) -> dict[str, Any]:
        """K, the shape and the support of data, and the layer's own settings."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "data_shape": self.data_shape,
            "support": self.support,
        }
