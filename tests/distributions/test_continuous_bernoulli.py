import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from kelbo.distributions import ContinuousBernoulli
from kelbo.distributions.continuous_bernoulli import (
    _SERIES,
    continuous_bernoulli_mean,
    log_normaliser,
)
from tests.support import gradient, to_numpy

SWITCH = 2.0 * _SERIES
MAGNITUDES = np.concatenate(
    [
        np.geomspace(1e-4, 1.0, 60),
        np.linspace(1.0, 80.0, 200),
        SWITCH * (1 + np.arange(-3, 4) / 1e6),
    ]
)
# Rounded to float32 first, so that both sides compute at one point.
LOGITS = np.float32(np.concatenate([-MAGNITUDES[::-1], [0.0], MAGNITUDES])).astype("float64")


def exact(at_zero, formula):
    """A float64 formula of u = logits / 2, with its limit at 0."""
    u = np.where(LOGITS == 0.0, 1.0, 0.5 * LOGITS)
    return np.where(LOGITS == 0.0, at_zero, formula(u))


LOG_C = exact(np.log(2.0), lambda u: np.log(2.0 * u / np.tanh(u)))
LOG_C_GRADIENT = exact(0.0, lambda u: 0.5 * (1.0 / u - 2.0 / np.sinh(2.0 * u)))
MEAN = exact(0.5, lambda u: 0.5 + 0.5 * (1.0 / np.tanh(u) - 1.0 / u))


@pytest.mark.parametrize(
    ("p", "log_c"), [(0.1, 1.0103386), (0.3, 0.7505877), (0.001, 1.9345019), (0.5, np.log(2.0))]
)
def test_the_constant_has_the_paper_s_values(p, log_c):
    for logits in (logit(p), -logit(p)):
        assert float(log_normaliser(logits)) == pytest.approx(log_c, abs=2e-7)


def test_the_constant_follows_its_expansion_near_one_half():
    d = np.array([1e-4, 1e-3, 1e-2])
    np.testing.assert_allclose(
        to_numpy(log_normaliser(logit(0.5 + d))),
        np.log(2.0) + 4.0 / 3.0 * d**2 + 104.0 / 45.0 * d**4,
        rtol=2e-7,
    )


def test_the_mean_is_the_paper_s_formula_in_lambda():
    p = np.array([0.001, 0.1, 0.3, 0.6, 0.95])
    np.testing.assert_allclose(
        to_numpy(continuous_bernoulli_mean(logit(p))),
        p / (2.0 * p - 1.0) + 1.0 / (2.0 * np.arctanh(1.0 - 2.0 * p)),
        rtol=1e-6,
    )


def test_the_constant_the_mean_and_the_gradient_are_exact_on_the_whole_range():
    np.testing.assert_allclose(to_numpy(log_normaliser(LOGITS)), LOG_C, rtol=3e-7)
    np.testing.assert_allclose(to_numpy(continuous_bernoulli_mean(LOGITS)), MEAN, rtol=2e-6)
    np.testing.assert_allclose(
        gradient(log_normaliser, LOGITS), LOG_C_GRADIENT, rtol=5e-6, atol=1e-9
    )


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_the_density_s_gradient_is_the_value_minus_the_mean(value):
    # The family is exponential with the logit as natural parameter.
    np.testing.assert_allclose(
        gradient(lambda at: ContinuousBernoulli(at, 0).log_prob(value), LOGITS),
        value - MEAN,
        atol=1e-6,
    )


def test_log_prob_is_the_normalised_bernoulli_formula():
    value = np.linspace(0.0, 1.0, len(LOGITS))
    np.testing.assert_allclose(
        to_numpy(ContinuousBernoulli(LOGITS, 0).log_prob(value)),
        LOG_C + value * np.log(expit(LOGITS)) + (1.0 - value) * np.log(expit(-LOGITS)),
        atol=1e-5,  # float32 resolves 80 to 8e-6
    )


@pytest.mark.parametrize("logits", [-80.0, -3.0, -9e-4, 0.0, 1.1e-3, 2.0, 30.0])
def test_samples_follow_the_distribution_function(logits):
    sample = to_numpy(ContinuousBernoulli([logits]).sample(0, (20_000,)))[:, 0]
    assert sample.min() >= 0.0
    assert sample.max() <= 1.0

    def distribution_function(x):
        return x if logits == 0.0 else np.expm1(logits * x) / np.expm1(logits)

    assert stats.kstest(sample, distribution_function).pvalue > 1e-3
