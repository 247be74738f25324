"""The negative binomial likelihood p(x|z), for counts that vary more than Poisson's."""

from typing import Any

import keras

from kelbo.distributions import NegativeBinomial
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import COUNTS


@keras.saving.register_keras_serializable("kelbo")
class NegativeBinomialLikelihood(ParametricLikelihood):
    """Counts with mean mu = exp(log_mean(z)) and variance mu + mu^2 / theta, each independent.

    The likelihood of scVI (Lopez, Regier, Cole, Jordan and Yosef, "Deep generative modeling for
    single-cell transcriptomics", 2018), theta there being the inverse dispersion of each gene. The
    decoder shows the mean, which is no whole number.

    Args:
        network: a keras.Model from z to the log-mean, of the datum's shape, which can be any real
            number; with the dispersion "network" to the log-mean and log theta.
        dispersion: theta, a fixed number > 0; "shared": one learned number; "per-dimension": one
            learned number for each dimension; "network": an output of the network, log theta, for
            each datum and dimension.

    Raises:
        UsageError: `dispersion` is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = NegativeBinomial
    free = {"log_mean": (-2.0, 2.0)}
    positives = {"dispersion": {}}
    support = COUNTS

    def __init__(
        self,
        network: keras.Model,
        dispersion: float | str = "per-dimension",
        **kwargs: Any,
    ):
        super().__init__(network, {"dispersion": dispersion}, **kwargs)
