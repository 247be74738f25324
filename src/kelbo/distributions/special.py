"""Functions of the gamma family that keras.ops lacks, exact to float32 for every size."""

import math

from keras import ops

from kelbo.distributions.distribution import Tensor

LOG_TWO = math.log(2.0)

# How often the remainder's recurrence is used before its series, which is then exact.
_SHIFTS = 4


def stirling_remainder(x: Tensor) -> Tensor:
    """What Stirling's formula lacks of log Gamma(x), elementwise for x > 0.

    S(x) = log Gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2], which is 1 / (12 x) for large x.
    Densities of the gamma family are differences of log Gammas that are nearly equal. Written with
    S, what is equal cancels on paper and not in float32 (Loader, "Fast and accurate computation
    of binomial probabilities", 2000).
    """
    remainder = 0.0
    for _ in range(_SHIFTS):
        # S(x) - S(x + 1), from Gamma(x + 1) = x Gamma(x).
        remainder = remainder + (x + 0.5) * ops.log1p(1.0 / x) - 1.0
        x = x + 1.0
    inverse = 1.0 / x
    square = ops.square(inverse)
    return remainder + inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0))


def log_of_difference(upper: Tensor, lower: Tensor) -> Tensor:
    """log(sigmoid(upper) - sigmoid(lower)) for upper > lower, elementwise, far in the tails too.

    It is log sigmoid(upper) + log sigmoid(-lower) + log(1 - exp(lower - upper)).
    """
    return -ops.softplus(-upper) - ops.softplus(lower) + log_of_complement(upper - lower)


def log_of_complement(x: Tensor) -> Tensor:
    """log(1 - exp(-x)) for x > 0, elementwise."""
    return ops.log(-ops.expm1(-x))
