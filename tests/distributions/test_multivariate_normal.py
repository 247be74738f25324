import numpy as np
import pytest
from scipy import stats

from kelbo.distributions import MultivariateNormal
from kelbo.posteriors.full_covariance import cholesky_factor
from tests.support import gradient, noise, to_numpy

MU = np.array([[0.5, -1.0, 2.0], [0.0, 3.0, -0.5]])
LOG_DIAGONAL = np.array([[0.0, -1.0, 0.6], [0.3, 0.1, -2.0]], "float32")
BELOW = np.array([[0.7, -0.4, 1.2], [0.0, 2.0, -0.3]], "float32")
FACTOR = np.array(
    [
        [[np.exp(a), 0.0, 0.0], [u, np.exp(b), 0.0], [v, w, np.exp(c)]]
        for (a, b, c), (u, v, w) in zip(LOG_DIAGONAL.tolist(), BELOW.tolist(), strict=True)
    ]
)


def make():
    return MultivariateNormal(MU, FACTOR)


def test_the_factor_is_lower_triangular_with_a_positive_diagonal():
    np.testing.assert_allclose(to_numpy(cholesky_factor(LOG_DIAGONAL, BELOW)), FACTOR, rtol=1e-6)


def test_log_prob_is_scipy_s_for_every_sample_axis():
    value = np.random.default_rng(0).standard_normal((5, 4, 2, 3))
    expected = np.stack(
        [
            stats.multivariate_normal(mu, factor @ factor.T).logpdf(value[:, :, row])
            for row, (mu, factor) in enumerate(zip(MU, FACTOR, strict=True))
        ],
        axis=-1,
    )
    np.testing.assert_allclose(to_numpy(make().log_prob(value)), expected, rtol=1e-5, atol=1e-5)


def test_a_draw_comes_with_its_density_and_has_the_covariance():
    z, log_q = make().sample_and_log_prob(0, (40_000,))
    np.testing.assert_allclose(to_numpy(make().log_prob(z)), to_numpy(log_q), rtol=1e-4, atol=1e-4)
    z = to_numpy(z)
    for row, factor in enumerate(FACTOR):
        covariance = factor @ factor.T
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        assert np.abs((np.cov(z[:, row].T) - covariance) / scale).max() < 0.04
        error = np.sqrt(np.diag(covariance) / len(z))
        assert np.all(np.abs(z[:, row].mean(axis=0) - MU[row]) < 5.0 * error)


@pytest.mark.usefixtures("fixed_noise")
def test_a_draw_is_differentiable_in_the_factor():
    found = gradient(lambda factor: MultivariateNormal(MU, factor).sample(0), FACTOR)
    np.testing.assert_allclose(found, np.repeat(noise((2, 3))[:, None, :], 3, axis=1), rtol=1e-5)
