"""The Student-t likelihood p(x|z), for real-valued data with outliers."""

from typing import Any

import keras

from kelbo.distributions import StudentT
from kelbo.likelihoods.parametric import ParametricLikelihood


@keras.saving.register_keras_serializable("kelbo")
class StudentTLikelihood(ParametricLikelihood):
    """x = location(z) + scale * t, t ~ Student(degrees), each dimension independent.

    Its tails are polynomial, so a gross outlier moves the model little (Lange, Little and Taylor,
    "Robust statistical modeling using the t distribution", 1989; in a VAE: Mattei and Frellsen,
    "MIWAE", 2019).

    Args:
        network: a keras.Model from z to the location, of the datum's shape; then log scale where
            the scale is "network", and log(degrees - 1) where the degrees are.
        scale: a fixed number > 0; "shared": one learned number; "per-dimension": one learned number
            for each dimension; "network": an output of the network, log scale, for each datum and
            dimension.
        degrees: of freedom, in the same ways; a number > 1, so that the mean exists. What is
            learned starts at 5.

    Raises:
        UsageError: a choice is none of these, an output is bounded, or the outputs do not fit.
    """

    kind = StudentT
    free = {"location": None}
    positives = {"scale": {}, "degrees": {"above": 1.0, "initial": 4.0}}

    def __init__(
        self,
        network: keras.Model,
        scale: float | str = "shared",
        degrees: float | str = "shared",
        **kwargs: Any,
    ):
        super().__init__(network, {"scale": scale, "degrees": degrees}, **kwargs)
