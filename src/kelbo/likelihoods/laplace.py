"""The Laplace likelihood p(x|z), for real-valued data with sharp peaks."""

from typing import Any

import keras

from kelbo.distributions import Laplace
from kelbo.likelihoods.parametric import ParametricLikelihood


@keras.saving.register_keras_serializable("kelbo")
class LaplaceLikelihood(ParametricLikelihood):
    """x ~ Laplace(location(z), b), each dimension independent.

    With a fixed scale b the reconstruction is the sum of absolute errors over b, and a constant.
    Absolute errors forgive outliers and keep edges that squared ones blur.

    Args:
        network: a keras.Model from z to the location, of the datum's shape; with the scale
            "network" to the location and log b.
        scale: b, a fixed number > 0; "shared": one learned number; "per-dimension": one learned
            number for each dimension; "network": an output of the network, log b, for each datum
            and dimension.

    Raises:
        UsageError: `scale` is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = Laplace
    free = {"location": None}
    positives = {"scale": {}}

    def __init__(self, network: keras.Model, scale: float | str = "shared", **kwargs: Any):
        super().__init__(network, {"scale": scale}, **kwargs)
