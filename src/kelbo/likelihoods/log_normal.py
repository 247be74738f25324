"""The log-normal likelihood p(x|z), for positive data over orders of magnitude."""

from typing import Any

import keras

from kelbo.distributions import LogNormal
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import POSITIVE


@keras.saving.register_keras_serializable("kelbo")
class LogNormalLikelihood(ParametricLikelihood):
    """log x ~ N(mu(z), scale^2), for x > 0, each dimension independent.

    The density is that of x and not of log x: it has the factor 1 / x. The decoder shows the mean
    of x, exp(mu + scale^2 / 2). A 0 has no density and is refused.

    Args:
        network: a keras.Model from z to mu, of the datum's shape, which can be any real number;
            with the scale "network" to mu and log scale.
        scale: the standard deviation of log x, a fixed number > 0; "shared": one learned number;
            "per-dimension": one learned number for each dimension; "network": an output of the
            network, log scale, for each datum and dimension.

    Raises:
        UsageError: `scale` is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = LogNormal
    free = {"mu": (-1.0, 1.0)}
    positives = {"scale": {}}
    support = POSITIVE

    def __init__(self, network: keras.Model, scale: float | str = "shared", **kwargs: Any):
        super().__init__(network, {"scale": scale}, **kwargs)
