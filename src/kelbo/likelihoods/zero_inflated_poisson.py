"""The zero-inflated Poisson likelihood p(x|z), for counts with too many zeros."""

from typing import Any

import keras

from kelbo.distributions import ZeroInflatedPoisson
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import COUNTS


@keras.saving.register_keras_serializable("kelbo")
class ZeroInflatedPoissonLikelihood(ParametricLikelihood):
    """0 with probability sigmoid(zero_logit(z)), else Poisson(exp(log_rate(z))), each independent.

    Lambert, "Zero-inflated Poisson regression", 1992. The decoder shows the mean, zeros included.

    Args:
        network: a keras.Model from z to the log-rate and the log-odds of an extra zero, each of
            the datum's shape, which can be any real number.

    Raises:
        UsageError: an output is bounded, or the outputs do not fit.
    """

    kind = ZeroInflatedPoisson
    free = {"log_rate": (-2.0, 2.0), "zero_logit": (-4.0, 4.0)}
    support = COUNTS

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
