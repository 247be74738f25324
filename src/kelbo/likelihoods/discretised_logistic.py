"""The discretised logistic likelihood p(x|z), for 8-bit images."""

from typing import Any

import keras

from kelbo.distributions import DiscretisedLogistic
from kelbo.likelihoods.parametric import ParametricLikelihood
from kelbo.support import LEVELS


@keras.saving.register_keras_serializable("kelbo")
class DiscretisedLogisticLikelihood(ParametricLikelihood):
    """Each pixel is a logistic variable, rounded to one of the 256 levels k / 255.

    Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016. log
    p(x|z) is a log-probability in nats: divided by -log 2 and by the number of dimensions
    it is in bits per dimension. Pixels off the grid, as of resized images, are refused.

    Args:
        network: a keras.Model from z to the location on the paper's axis, 2 x - 1 in [-1, 1], of
            the datum's shape; with the scale "network" to the location and log scale.
        scale: on the same axis, a fixed number > 0; "shared": one learned number; "per-dimension":
            one learned number for each dimension; "network": an output of the network, log scale,
            for each datum and dimension. What is below exp(-7), a ninth of a level, counts as that.

    Raises:
        UsageError: `scale` is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = DiscretisedLogistic
    free = {"location": (-0.9, 0.9)}
    positives = {"scale": {}}
    support = LEVELS

    def __init__(self, network: keras.Model, scale: float | str = "shared", **kwargs: Any):
        super().__init__(network, {"scale": scale}, **kwargs)
