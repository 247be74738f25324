"""The Gaussian likelihood p(x|z), for real-valued data."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import keras
from keras import layers

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.networks.output_range import check_all_reals
from kelbo.support import Support

_LEARNED = ("shared", "per-pixel")
# Variances from 0.02 to 2.7: a clip beyond that is a guard, which a learned variance may need.
_ENOUGH = (-4.0, 1.0)


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
        if self.variance == "per-pixel":
            check_all_reals(type(self).__name__, network, 1, "log_var = log sigma^2", _ENOUGH)

    @classmethod
    def output_shapes(  # type: ignore[override]  # an option of its own
        cls, data_shape: Sequence[int], variance: float | str = 1.0
    ) -> list[tuple[int, ...]]:
        """Mu; with a variance per pixel log_var too. Each has the shape of the data."""
        return [tuple(data_shape)] * (2 if variance == "per-pixel" else 1)

    @property
    def options(self) -> dict[str, Any]:
        """The variance."""
        return {"variance": self.variance}

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
        """Mu itself."""
        return layers.Activation("linear", name="dec_out", dtype="float32")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Mu, the first output."""
        return self.mean_layer()(outputs[0])

    def caution(self, support: Support) -> str:
        """What a variance of 1 does to data in [0, 1], of which the variance is 1/4 at most."""
        if self.variance != 1.0 or support.low < 0.0 or support.high > 1.0:
            return ""
        return (
            "The likelihood's variance is fixed at 1, but values in [0, 1] vary by 0.25 at most: "
            "a bad reconstruction costs little beside the KL, so expect blurred images and few "
            "active latent dimensions. gaussian-shared (variance='shared') learns the variance."
        )
