"""The zero-inflated negative binomial likelihood p(x|z), for counts with too many zeros."""

from typing import Any

import keras

from kelbo.distributions import ZeroInflatedNegativeBinomial
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import COUNTS


@keras.saving.register_keras_serializable("kelbo")
class ZeroInflatedNegativeBinomialLikelihood(ParametricLikelihood):
    """0 with probability sigmoid(zero_logit(z)), else a negative binomial count, each independent.

    The default of scVI (Lopez et al. 2018). The decoder shows the mean, zeros included.

    Args:
        network: a keras.Model from z to the log-mean of the counts and the log-odds of an extra
            zero, each of the datum's shape, which can be any real number; with the dispersion
            "network" to these and log theta.
        dispersion: theta of the counts, whose variance is mu + mu^2 / theta: a fixed number > 0;
            "shared": one learned number; "per-dimension": one learned number for each dimension;
            "network": an output of the network, log theta, for each datum and dimension.

    Raises:
        UsageError: `dispersion` is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = ZeroInflatedNegativeBinomial
    free = {"log_mean": (-2.0, 2.0), "zero_logit": (-4.0, 4.0)}
    positives = {"dispersion": {}}
    support = COUNTS

    def __init__(
        self,
        network: keras.Model,
        dispersion: float | str = "per-dimension",
        **kwargs: Any,
    ):
        super().__init__(network, {"dispersion": dispersion}, **kwargs)
