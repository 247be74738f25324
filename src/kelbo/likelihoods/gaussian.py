"""The Gaussian likelihood p(x|z), for real-valued data."""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import keras
from keras import layers, ops

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.networks.output_range import check_all_reals
from kelbo.support import Support

_LEARNED = ("shared", "optimal", "per-pixel")
# How much of the average error of past batches each new one leaves: about a hundred count.
_KEPT = 0.99
# The least optimal variance, that of the paper's code: a perfect batch would have none.
_LEAST_LOG_VAR = -12.0
# Variances from 0.02 to 2.7: a clip beyond that is a guard, which a learned variance may need.
_ENOUGH = (-4.0, 1.0)


@keras.saving.register_keras_serializable("kelbo")
class GaussianLikelihood(Likelihood):
    """x ~ N(mu(z), variance), each dimension independent.

    With a fixed variance s the ELBO's reconstruction is -|x - mu|^2 / (2 s) and a constant: the
    choice of s weighs it against the KL exactly as a beta would. A learned variance settles that
    trade-off by maximum likelihood (Rybkin, Daniilidis and Levine, "Simple and effective VAE
    training with calibrated decoders", 2021).

    The optimal variance is that of the paper's optimal sigma-VAE: in a training step the mean
    squared error of the batch, over draws, data and dimensions. No gradient flows through it, for
    at the optimum there is none. The log p(x|z) of a datum in a training step thus depends on the
    rest of its batch. Everywhere else the variance is a weight that is saved with the model: the
    mean of the batches' errors, of which the last hundred count most. So bounds and evaluations
    are those of one fixed density.

    Args:
        network: a keras.Model from z to mu, of the datum's shape; with variance "per-pixel" a
            model with two outputs, mu and log_var.
        variance: a fixed number > 0; "shared": one number for all dimensions, learned by gradient;
            "optimal": one for all, computed; "per-pixel": an output of the network for each
            dimension.

    Raises:
        UsageError: `variance` is none of these, or the network's outputs do not fit.
    """

    def __init__(self, network: keras.Model, variance: float | str = 1.0, **kwargs: Any):
        number = isinstance(variance, Real) and not isinstance(variance, bool)
        known = 0.0 < float(variance) < math.inf if number else variance in _LEARNED
        if not known:
            raise UsageError(
                "The variance of a GaussianLikelihood is expected to be a number > 0, 'shared', "
                f"'optimal' or 'per-pixel', received {variance!r}."
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
        """Make the shared log-variance, which starts at 0, or the average of squared errors."""
        if self.variance == "optimal":
            # Their sum over the batches seen and the number of these, both fading: 0 of none.
            self.squared_error, self.seen = (
                self.add_weight(
                    shape=(), initializer="zeros", dtype="float32", trainable=False, name=name
                )
                for name in ("squared_error", "seen")
            )
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
        if "log_var" in parameters:  # the network's, or of the batch
            log_var = parameters["log_var"]
        elif self.variance == "optimal":
            log_var = self.average_log_var
        elif self.variance == "shared":
            log_var = self.log_var
        else:
            log_var = math.log(float(self.variance))
        return Normal(parameters["mu"], log_var, self.event_rank)

    @property
    def average_log_var(self) -> Tensor:
        """The logarithm of the optimal variance in evaluation; 0 before any training."""
        seen = ops.convert_to_tensor(self.seen)
        error = ops.where(seen > 0.0, self.squared_error / ops.maximum(seen, 1e-6), 1.0)
        return ops.maximum(ops.log(ops.maximum(error, 1e-30)), _LEAST_LOG_VAR)

    def fitted(
        self,
        parameters: dict[str, Tensor],
        x: Tensor,
        observed: Tensor | None,
        total: Callable[[Tensor], Tensor],
    ) -> dict[str, Tensor]:
        """With the optimal variance of the batch, which enters the average; see `Likelihood`.

        A frozen likelihood keeps its average, as in evaluation.
        """
        if self.variance != "optimal" or not self.trainable:
            return parameters
        squared = ops.square(ops.cast(x, "float32") - parameters["mu"])
        counts = ops.ones_like(squared)
        if observed is not None:
            counts = ops.where(observed, counts, 0.0)
            squared = ops.where(observed, squared, 0.0)
        count = total(ops.sum(counts))
        error = ops.stop_gradient(total(ops.sum(squared)) / ops.maximum(count, 1.0))
        kept = ops.where(count > 0.0, _KEPT, 1.0)  # all may be masked
        self.squared_error.assign(kept * self.squared_error + (1.0 - kept) * error)
        self.seen.assign(kept * self.seen + (1.0 - kept))
        log_var = ops.maximum(ops.log(ops.maximum(error, 1e-30)), _LEAST_LOG_VAR)
        return {**parameters, "log_var": log_var}

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
