"""Modified Bessel functions of the first kind, of any order >= 0, in float32.

I_v(x) spans hundreds of orders of magnitude, so it is written as

    I_v(x) = (x / 2)^v / Gamma(v + 1) * F_v(x),   F_v(0) = 1,

and log F_v - x is computed, in which nothing overflows and little cancels. At an order of at least
16 the uniform expansion of Debye has seven digits for every x >= 0 (Abramowitz and Stegun 1964,
9.7.7 and 9.7.9). Lower orders follow by the recurrence

    I_(v+1) / I_v = x rho_v,   rho_v = 1 / (2 (v + 1) + x^2 rho_(v+1)),   F_v = F_(v+1) (1 + ...),

which is stable downwards (9.1.27 for I). All of it is differentiable in x.
"""

import math

from keras import ops

from kelbo.distributions.distribution import Tensor, float32

# From this order on three terms of the expansion are exact to float32.
_LARGE = 16.0


def log_scaled_bessel(order: float, x: Tensor) -> Tensor:
    """log F_v(x) - x, elementwise, for x >= 0; 0 at x = 0.

    Args:
        order: v >= 0.
        x: x.
    """
    return _log_and_ratio(order, float32(x))[0]


def bessel_ratio(order: float, x: Tensor) -> Tensor:
    """I_(v+1)(x) / I_v(x), elementwise, in [0, 1): the derivative of log F_v.

    Args:
        order: v >= 0.
        x: x >= 0.
    """
    x = float32(x)
    return x * _log_and_ratio(order, x)[1]


def _log_and_ratio(order: float, x: Tensor) -> tuple[Tensor, Tensor]:
    """log F_v(x) - x and rho_v(x)."""
    steps = max(0, math.ceil(_LARGE - order))
    log_f, rho = _debye(order + steps, x)
    for step in reversed(range(steps)):
        # F_v / F_(v+1) = (I_v / I_(v+1)) x / (2 (v + 1)) = 1 / (2 (v + 1) rho_v).
        twice = 2.0 * (order + step + 1.0)
        tail = ops.square(x) * rho / twice
        log_f = log_f + ops.log1p(tail)
        rho = 1.0 / (twice * (1.0 + tail))
    return log_f, rho


def _debye(order: float, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same of a large order, by the uniform expansion in t = 1 / sqrt(1 + (x / v)^2)."""
    v = order
    root = ops.sqrt(v * v + ops.square(x))
    t = v / root
    # The exponent sqrt(v^2 + x^2) - v - x + v log(2 v / (v + sqrt(v^2 + x^2))), without cancelling.
    grown = ops.square(x) / (root + v)  # root - v
    exponent = -v * (grown + x) / (root + x) - v * ops.log1p(0.5 * grown / v)
    series, slope = _series(t, v)
    at_zero, _ = _series(1.0, v)
    log_f = exponent + 0.5 * ops.log(t) + ops.log(series / at_zero)
    # x rho = I_v' / I_v - v / x by the two expansions, whose leading terms cancel by hand.
    return log_f, (1.0 / (1.0 + 1.0 / t) - ops.square(t) * slope / series) / v


def _series(t: Tensor, v: float) -> tuple[Tensor, Tensor]:
    """sum_k u_k(t) / v^k, and sum_k (u_k / 2 + t u_k') / v^(k+1), by which I_v' differs."""
    # The powers of t and the coefficients of u_0 to u_3.
    terms: tuple[dict[int, float], ...] = (
        {0: 1.0},
        {1: 3.0 / 24.0, 3: -5.0 / 24.0},
        {2: 81.0 / 1152.0, 4: -462.0 / 1152.0, 6: 385.0 / 1152.0},
        {
            3: 30375.0 / 414720.0,
            5: -369603.0 / 414720.0,
            7: 765765.0 / 414720.0,
            9: -425425.0 / 414720.0,
        },
    )
    series = slope = 0.0
    for k, polynomial in enumerate(terms):
        for power, coefficient in polynomial.items():
            term = (coefficient / v**k) * t**power
            series = series + term
            slope = slope + (0.5 + power) / v * term
    return series, slope
