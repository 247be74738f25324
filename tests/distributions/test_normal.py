import numpy as np
import pytest
from scipy import stats

from kelbo.distributions import Normal
from tests.support import gradient, noise, to_numpy

MU = np.array([0.0, 1.5, -40.0, 3.0])
LOG_VAR = np.array([0.0, -6.0, 5.0, 1.0])
VALUE = np.array([0.3, 1.4, 10.0, -2.0])


def test_log_prob_is_the_normal_density():
    expected = stats.norm.logpdf(VALUE, MU, np.exp(0.5 * LOG_VAR))
    np.testing.assert_allclose(
        to_numpy(Normal(MU, LOG_VAR).log_prob_per_dimension(VALUE)), expected, atol=2e-6
    )


def test_a_scalar_log_var_belongs_to_every_dimension():
    expected = stats.norm.logpdf(VALUE, MU, np.exp(0.25)).sum()
    np.testing.assert_allclose(to_numpy(Normal(MU, 0.5).log_prob(VALUE)), expected, rtol=1e-6)


def test_samples_follow_the_normal_distribution():
    sample = to_numpy(Normal(MU, LOG_VAR).sample(0, (20_000,)))
    for j in range(4):
        law = stats.norm(MU[j], np.exp(0.5 * LOG_VAR[j]))
        assert stats.kstest(sample[:, j], law.cdf).pvalue > 1e-3
    assert np.all(np.abs(np.corrcoef(sample.T) - np.eye(4)) < 0.03)


@pytest.mark.usefixtures("fixed_noise")
def test_a_sample_is_differentiable_in_mu_and_log_var():
    epsilon = noise((4,))
    np.testing.assert_allclose(
        gradient(lambda mu: Normal(mu, LOG_VAR).sample(0), MU), np.ones(4), rtol=1e-6
    )
    np.testing.assert_allclose(
        gradient(lambda log_var: Normal(MU, log_var).sample(0), LOG_VAR),
        0.5 * np.exp(0.5 * LOG_VAR) * epsilon,
        rtol=1e-5,
    )
