"""The Poisson likelihood p(x|z), for counts."""

from typing import Any

import keras

from kelbo.distributions import Poisson
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import COUNTS


@keras.saving.register_keras_serializable("kelbo")
class PoissonLikelihood(ParametricLikelihood):
    """x ~ Poisson(exp(log_rate(z))), each dimension independent.

    The variance of a count is its mean; counts that vary more want a NegativeBinomialLikelihood.
    The decoder shows the mean, which is no whole number.

    Args:
        network: a keras.Model from z to the log-rate, of the datum's shape, which can be any real
            number.

    Raises:
        UsageError: the output is bounded, or the outputs do not fit.
    """

    kind = Poisson
    free = {"log_rate": (-2.0, 2.0)}
    support = COUNTS

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
