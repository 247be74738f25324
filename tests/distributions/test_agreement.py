"""Densities and their gradients agree with scipy's; draws follow scipy's laws."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats

from kelbo.distributions import (
    Beta,
    Categorical,
    DiscretisedLogistic,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from tests.support import gradient, to_numpy

exp, logit = np.exp, special.logit


def nbinom(log_mean, log_theta):
    theta, mean = exp(log_theta), exp(log_mean)
    return stats.nbinom(theta, theta / (theta + mean))


def inflated(log_prob, zero_logit, k):
    zero = np.where(k == 0, special.log_expit(zero_logit), -np.inf)
    return np.logaddexp(zero, special.log_expit(-zero_logit) + log_prob)


def beta(logit_of_mean, log_concentration):
    mean, c = special.expit(logit_of_mean), exp(log_concentration)
    return stats.beta(mean * c, (1 - mean) * c)


def levels(location, log_scale, x):
    """The mass of each level in float64, from the tail that is smaller."""
    law = stats.logistic(location, exp(log_scale))
    y, half = 2 * x - 1, 1 / 255
    low = np.where(x < 0.5 / 255, -np.inf, y - half)
    high = np.where(x > 254.5 / 255, np.inf, y + half)
    below = law.cdf(high) - law.cdf(low)
    return np.log(np.where(y < location, below, law.sf(low) - law.sf(high)))


@dataclass
class Case:
    """A distribution of dimensions without a batch, and scipy's log-density of it."""

    make: type
    scipy: object  # (x, *parameters) -> log-density
    x: list
    parameters: list  # each an array like x
    tolerance: float = 1e-5
    law: object = None  # parameters -> a frozen law of scipy's


LEVELS = np.array([0, 1, 100, 128, 254, 255, 0, 255, 40, 200]) / 255
CASES = {
    "laplace": Case(
        Laplace,
        lambda x, m, s: stats.laplace.logpdf(x, m, exp(s)),
        [0.3, -2.0, 50.0, 1.0],
        [[0.0, -1.5, 3.0, 1.2], [0.0, -2.0, 1.0, 3.0]],
        law=lambda m, s: stats.laplace(m, exp(s)),
    ),
    "student-t": Case(
        StudentT,
        lambda x, m, s, e: stats.t.logpdf(x, 1 + exp(e), m, exp(s)),
        [2.5, 0.0, -30.0, 1e4, 0.1],
        [
            [0.5, 0.0, 1.0, 3.0, 0.0],
            [np.log(0.7), 0.0, -1.0, 2.0, 0.5],
            [np.log(2.0), np.log(1e6), -3.0, 1.0, 4.0],
        ],
        law=lambda m, s, e: stats.t(1 + exp(e), m, exp(s)),
    ),
    "log-normal": Case(
        LogNormal,
        lambda x, m, s: stats.lognorm.logpdf(x, exp(s), scale=exp(m)),
        [2.0, 0.05, 1e-6, 3e5],
        [[0.1, -1.0, -3.0, 2.0], [np.log(0.4), np.log(1.5), 1.0, 0.7]],
        law=lambda m, s: stats.lognorm(exp(s), scale=exp(m)),
    ),
    "beta": Case(
        Beta,
        lambda x, m, c: beta(m, c).logpdf(x),
        [0.3, 0.5, 0.999, 1e-6, 0.02, 0.9, 0.51],
        [[-1.0, 0.2, 4.0, -3.0, -5.0, 0.0, 0.0], [1.0, 3.0, 2.0, -1.0, 4.0, -4.0, 7.0]],
        tolerance=5e-5,
        law=beta,
    ),
    "poisson": Case(
        Poisson,
        lambda k, r: stats.poisson.logpmf(k, exp(r)),
        [4, 0, 0, 1, 1000, 3, 100_000, 25, 1, 0],
        [[np.log(2.5), 1.0, -60.0, -8.0, 6.9, 7.0, 11.5, 3.0, 0.0, 0.0]],
        law=lambda r: stats.poisson(exp(r)),
    ),
    "negative-binomial": Case(
        NegativeBinomial,
        lambda k, m, t: nbinom(m, t).logpmf(k),
        [3, 250, 4, 0, 0, 1000, 2, 7, 1],  # the last is its mean, where the formula has a seam
        [
            np.log([5.0, 100.0, 2.5, 3.0, 1e4, 900.0, 1e-3, 4.0, 1.0]),
            np.log([2.0, 0.3, 1e6, 0.01, 1e-3, 50.0, 1e-2, 8.0, 3.0]),
        ],
        law=nbinom,
    ),
    "zero-inflated-poisson": Case(
        ZeroInflatedPoisson,
        lambda k, r, z: inflated(stats.poisson.logpmf(k, exp(r)), z, k),
        [0, 3, 0, 0, 12, 0],  # the last has zeros of both kinds, equally probable
        [[1.0, 1.0, 5.0, -3.0, 2.0, 0.0], [-1.0, 0.5, -30.0, 20.0, 3.0, -1.0]],
    ),
    "zero-inflated-negative-binomial": Case(
        ZeroInflatedNegativeBinomial,
        lambda k, m, z, t: inflated(nbinom(m, t).logpmf(k), z, k),
        [0, 3, 0, 0],
        [
            np.log([5.0, 5.0, 100.0, 0.1]),
            [-1.0, -1.0, -30.0, 10.0],
            np.log([2.0, 2.0, 5.0, 0.5]),
        ],
    ),
    "discretised-logistic": Case(
        DiscretisedLogistic,
        lambda x, m, s: levels(m, s, x),
        LEVELS,
        [
            [-1.2, -0.9, 0.1, 0.0, 0.5, 2.0, 0.5, -0.3, -0.9, 0.57],
            [-2.0, -4.0, -1.0, 0.5, -2.0, -3.0, -3.0, -2.5, -3.0, -5.5],
        ],
        tolerance=3e-5,
    ),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def arrays(case):
    """x and the parameters as float32 has them."""
    rounded = [np.float32(each).astype("float64") for each in (case.x, *case.parameters)]
    return rounded[0], rounded[1:]


@every
def test_log_prob_is_scipy_s(case):
    x, parameters = arrays(case)
    value = to_numpy(case.make(*parameters, event_rank=0).log_prob(x))
    expected = case.scipy(x, *parameters)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(value, expected, rtol=case.tolerance, atol=case.tolerance)


@every
def test_the_gradient_is_that_of_scipy_s_formula(case):
    x, parameters = arrays(case)
    for i, at in enumerate(parameters):
        before, after = parameters[:i], parameters[i + 1 :]

        def log_prob(moved, before=before, after=after):
            return case.make(*before, moved, *after, event_rank=0).log_prob(x)

        step = 1e-4
        ahead, behind = (case.scipy(x, *before, at + s, *after) for s in (step, -step))
        expected = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(gradient(log_prob, at), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    "case", [each for each in CASES.values() if each.law], ids=lambda case: case.make.__name__
)
def test_draws_follow_scipy_s_law(case):
    _, parameters = arrays(case)
    draws = to_numpy(case.make(*parameters, event_rank=0).sample(1, (5000,)))
    for j in range(draws.shape[1]):
        law = case.law(*(each[j] for each in parameters))
        if isinstance(law.dist, stats.rv_discrete):
            # Two counts of each: below the middle of the law and not.
            for share in (0.1, 0.5, 0.9):
                at = law.ppf(share)
                p = law.cdf(at)
                sigma = np.sqrt(p * (1 - p) / len(draws))
                assert abs(np.mean(draws[:, j] <= at) - p) <= 4.5 * sigma + 1e-12
        else:
            # Beta's mass that a float32 cannot tell from an end lies at that end.
            low, high = (1e-7, 1 - 1e-7) if case.make is Beta else (-np.inf, np.inf)
            inside = draws[(draws[:, j] > low) & (draws[:, j] < high), j]
            mass = law.cdf(high) - law.cdf(low)
            assert len(inside) == pytest.approx(5000 * mass, abs=4.5 * np.sqrt(5000 * 0.25))
            uniform = (law.cdf(inside) - law.cdf(low)) / mass
            assert stats.kstest(uniform, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(
    ("distribution", "x", "expected"),
    [
        (StudentT([0.5], [np.log(0.7)], [np.log(2.0)]), 2.5, -3.2722463370),
        (StudentT([0.0], [0.0], [np.log(1e6)]), 0.0, -0.9189387832),
        (LogNormal([0.1], [np.log(0.4)]), 2.0, -1.7952436625),
        (LogNormal([-1.0], [np.log(1.5)]), 0.05, 0.7862292305),
        (Poisson([np.log(2.5)]), 4.0, -2.0128909029),
        (NegativeBinomial([np.log(5.0)], [np.log(2.0)]), 3.0, -2.1286482857),
        (NegativeBinomial([np.log(100.0)], [np.log(0.3)]), 250.0, -7.4537595438),
        (NegativeBinomial([np.log(2.5)], [np.log(1e6)]), 4.0, -2.0128917777),
        (NegativeBinomial([np.log(2.5)], [np.log(1e8)]), 4.0, -2.0128909),
        (ZeroInflatedNegativeBinomial([np.log(5.0)], [-1.0], [np.log(2.0)]), 0.0, -1.1128542070),
        (ZeroInflatedNegativeBinomial([np.log(5.0)], [-1.0], [np.log(2.0)]), 3.0, -2.4419099733),
        (
            ZeroInflatedNegativeBinomial([np.log(100.0)], [-30.0], [np.log(5.0)]),
            0.0,
            -15.2226118064,
        ),
        (Categorical([[1.0, -0.5, 2.0]]), 0.0, -1.3715390319),
        (Categorical([[1.0, -0.5, 2.0]]), 1.0, -2.8715390319),
        (Ordinal([[-1.8, -0.3, 1.2]]), 0.0, -1.9529776105),
        (Ordinal([[-1.8, -0.3, 1.2]]), 1.0, -1.2598153139),
        (Ordinal([[-1.8, -0.3, 1.2]]), 2.0, -1.0701201707),
        (Ordinal([[-1.8, -0.3, 1.2]]), 3.0, -1.4632824673),
        (Ordinal([[59.0, 60.5, 62.0]]), 2.0, -60.7524824589),
    ],
)
def test_known_values(distribution, x, expected):
    assert float(distribution.log_prob(np.array([x]))) == pytest.approx(
        expected, rel=1e-6, abs=5e-5 if x > 100 else 1e-6
    )


def test_a_level_takes_what_is_left_of_it_however_far_the_location():
    # In float32 a difference of two sigmoids would be 0 here, and its logarithm -inf.
    location, x = np.float32([-3.0, 3.0, 0.0, 0.9]), np.float32([0.8, 0.2, 1.0, 0.0])

    def log_prob(at):
        return DiscretisedLogistic(at, np.full(4, -6.0), 0).log_prob(x)

    assert np.all(to_numpy(log_prob(location)) < -200.0)
    assert np.isfinite(to_numpy(log_prob(location))).all()
    slope = gradient(log_prob, location)
    np.testing.assert_allclose(np.abs(slope), np.exp(6.0), rtol=1e-3)
