"""The beta likelihood p(x|z), for shares and rates strictly between 0 and 1."""

from typing import Any

import keras

from kelbo.distributions import Beta
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import OPEN_UNIT_INTERVAL


@keras.saving.register_keras_serializable("kelbo")
class BetaLikelihood(ParametricLikelihood):
    """x ~ Beta with mean sigmoid(logit(z)) and a concentration c, each dimension independent.

    Beta regression (Ferrari and Cribari-Neto, "Beta regression for modelling rates and
    proportions", 2004). The variance is m (1 - m) / (1 + c). Data lie strictly between 0 and 1: at
    the ends the density is 0 or infinite, so exact zeros and ones are refused.

    Args:
        network: a keras.Model from z to the logit of the mean, of the datum's shape, which can be
            any real number; with the concentration "network" to the logit and log c.
        concentration: c, a fixed number > 0; "shared": one learned number; "per-dimension": one
            learned number for each dimension; "network": an output of the network, log c, for each
            datum and dimension.

    Raises:
        UsageError: `concentration` is none of these, an output is bounded, or the outputs do not
            fit.
    """

    kind = Beta
    free = {"logit": (-4.0, 4.0)}
    positives = {"concentration": {}}
    support = OPEN_UNIT_INTERVAL

    def __init__(
        self,
        network: keras.Model,
        concentration: float | str = "shared",
        **kwargs: Any,
    ):
        super().__init__(network, {"concentration": concentration}, **kwargs)
