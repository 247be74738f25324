"""The Gaussian likelihood p(x|z), for real-valued data."""

import math
from numbers import Real
from typing import Any

import keras
from keras import layers

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods.likelihood import Likelihood

_LEARNED = ("shared", "per-pixel")


@keras.saving.register_keras_serializable("kelbo")
class GaussianLikelihood(Likelihood):
    """x ~ N(mu(z), variance), each dimension independent.

    With a fixed variance s the ELBO's reconstruction is -|x - mu|^2 / (2 s) and a constant: the
    choice of s weighs it against the KL exactly as a beta would. A learned variance settles that
    trade-off by maximum likelihood (Rybkin, Daniilidis and Levine, "Simple and effective VAE
    training with calibrated decoders", 2021).

    Args:
        network: a keras.Model from z to mu, of the datum's shape; with variance "per-pixel" a
            model with two outputs, mu and log_var.
        variance: a fixed number > 0; "shared": one learned number for all dimensions;
            "per-pixel": an output of the network for each dimension.

    Raises:
        UsageError: `variance` is none of these, or the network's outputs do not fit.
    """

    def __init__(self, network: keras.Model, variance: float | str = 1.0, **kwargs: Any):
        number = isinstance(variance, Real) and not isinstance(variance, bool)
        known = 0.0 < float(variance) < math.inf if number else variance in _LEARNED
        if not known:
            raise UsageError(
                "The variance of a GaussianLikelihood is expected to be a number > 0, 'shared' or "
                f"'per-pixel', received {variance!r}."
            )
        self.variance = float(variance) if number else variance
        super().__init__(network, **kwargs)

    @property
    def outputs(self) -> int:
        """Two with a variance per pixel, else one."""
        return 2 if self.variance == "per-pixel" else 1

    def build(self, input_shape: Any = None) -> None:
        """Make the shared log-variance, which starts at 0."""
        if self.variance == "shared":
            self.log_var = self.add_weight(
                shape=(), initializer="zeros", dtype="float32", autocast=False, name="log_var"
            )
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """Mu, and log_var where the network gives it, each (batch, *event)."""
        return dict(zip(("mu", "log_var"), outputs, strict=False))

    def distribution(self, parameters: dict[str, Tensor]) -> Normal:
        """N(mu, variance)."""
        if self.variance == "per-pixel":
            log_var = parameters["log_var"]
        elif self.variance == "shared":
            log_var = self.log_var
        else:
            log_var = math.log(float(self.variance))
        return Normal(parameters["mu"], log_var, self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """The network's output itself."""
        return layers.Activation("linear", name="dec_out", dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """The network and the variance."""
        return {**super().get_config(), "variance": self.variance}
