import numpy as np
from scipy import stats
from scipy.special import expit

from kelbo.distributions import Bernoulli
from tests.support import gradient, to_numpy

LOGITS = np.array([-3.0, -0.1, 0.0, 1.7])


def test_log_prob_of_zeros_and_ones_is_the_log_probability():
    for value in (np.zeros(4), np.ones(4), np.array([0.0, 1.0, 1.0, 0.0])):
        np.testing.assert_allclose(
            to_numpy(Bernoulli(LOGITS).log_prob_per_dimension(value)),
            stats.bernoulli.logpmf(value, expit(LOGITS)),
            rtol=1e-6,
        )


def test_log_prob_of_grey_is_minus_the_binary_cross_entropy():
    grey, p = np.array([0.2, 0.5, 0.9, 0.4]), expit(LOGITS)
    np.testing.assert_allclose(
        to_numpy(Bernoulli(LOGITS).log_prob(grey)),
        np.sum(grey * np.log(p) + (1.0 - grey) * np.log(1.0 - p)),
        rtol=1e-6,
    )


def test_log_prob_and_its_gradient_are_exact_where_a_sigmoid_saturates():
    logits = np.array([-200.0, -40.0, 40.0, 200.0])
    for value in (0.0, 1.0):
        np.testing.assert_allclose(
            to_numpy(Bernoulli(logits, 0).log_prob(value)),
            value * logits - np.maximum(logits, 0.0),
            atol=1e-6,
        )
        np.testing.assert_allclose(
            gradient(lambda at, value=value: Bernoulli(at, 0).log_prob(value), logits),
            value - expit(logits),
            atol=1e-6,
        )


def test_samples_are_zeros_and_ones():
    assert set(np.unique(to_numpy(Bernoulli(LOGITS).sample(0, (100,))))) == {0.0, 1.0}
