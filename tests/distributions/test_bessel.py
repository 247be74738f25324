import numpy as np
import pytest
from scipy import special

from kelbo.distributions.bessel import bessel_ratio, log_scaled_bessel
from tests.support import gradient, to_numpy

X = np.array([1e-3, 0.1, 0.5, 2.0, 10.0, 30.0, 100.0, 500.0, 2000.0, 1e5])
# d / 2 - 1 for spheres in d = 2, 3, 4, 5, 16, 34, 36, 50 and 300 dimensions.
orders = pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 1.5, 7.0, 16.0, 17.0, 24.0, 149.0])


def log_ive(order, x):
    """SciPy's logarithm of e^-x I_v(x), by its series where SciPy's number underflows."""
    with np.errstate(divide="ignore"):
        found = np.log(special.ive(order, x))
    k = np.arange(6)[:, None]
    terms = (0.25 * x**2) ** k / special.factorial(k) / special.poch(order + 1.0, k)
    series = order * np.log(0.5 * x) - special.gammaln(order + 1.0) + np.log(terms.sum(axis=0)) - x
    return np.where(x**2 < 0.04 * (order + 1.0), series, found)


@orders
def test_the_logarithm_is_scipy_s(order):
    leading = order * np.log(0.5 * X) - special.gammaln(order + 1.0)
    expected = log_ive(order, X) - leading
    found = to_numpy(log_scaled_bessel(order, X))
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=5e-6)


@orders
def test_the_ratio_is_scipy_s(order):
    expected = np.exp(log_ive(order + 1.0, X) - log_ive(order, X))
    np.testing.assert_allclose(to_numpy(bessel_ratio(order, X)), expected, rtol=3e-6)


@orders
def test_the_gradient_of_the_logarithm_is_the_ratio(order):
    # (log F_v)' = I_(v+1) / I_v, and x is taken off.
    expected = to_numpy(bessel_ratio(order, X)) - 1.0
    found = gradient(lambda x: log_scaled_bessel(order, x), X)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    step = 1e-4 * X
    difference = (log_ive(order, X + step) - log_ive(order, X - step)) / (2.0 * step) - order / X
    np.testing.assert_allclose(found, difference, rtol=1e-4, atol=2e-5 * max(1.0, order))


def test_nothing_is_left_at_zero():
    zero = np.zeros(1)
    np.testing.assert_allclose(to_numpy(log_scaled_bessel(1.5, zero)), 0.0, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(bessel_ratio(1.5, zero)), 0.0)
    np.testing.assert_allclose(gradient(lambda x: bessel_ratio(1.5, x), zero), [0.2], rtol=1e-5)
