import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, softmax

from kelbo.distributions import Mixture, Normal
from tests.support import gradient, to_numpy

LOGITS = np.array([0.3, -1.0, 1.2])
MU = np.array([[-2.0, 0.0], [1.0, 3.0], [2.0, -1.0]])
LOG_VAR = np.array([[-1.0, 0.5], [0.0, -2.0], [0.4, 0.1]])


def normal(parameters):
    return Normal(parameters["mu"], parameters["log_var"], parameters["mu"].ndim - 1)


def make(mu=MU, event_rank=1):
    shape = (3, *[1] * (event_rank - 1), 2)
    parameters = {"mu": mu, "log_var": LOG_VAR}
    as_tensors = {
        name: np.reshape(value, shape).astype("float32") if isinstance(value, np.ndarray) else value
        for name, value in parameters.items()
    }
    return Mixture(LOGITS, as_tensors, normal, event_rank)


def log_prob(value):
    each = stats.norm(MU, np.exp(0.5 * LOG_VAR)).logpdf(value[..., None, :]).sum(axis=-1)
    return logsumexp(each, b=softmax(LOGITS), axis=-1)


def test_the_density_is_the_weighted_sum_and_integrates_to_one():
    value = np.random.default_rng(0).standard_normal((5, 4, 2)) * 3.0
    np.testing.assert_allclose(to_numpy(make().log_prob(value)), log_prob(value), rtol=1e-5)
    grid = np.linspace(-12.0, 12.0, 401)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    total = np.exp(to_numpy(make().log_prob(points))).sum() * (grid[1] - grid[0]) ** 2
    assert total == pytest.approx(1.0, abs=1e-4)


def test_values_of_a_higher_rank_are_one_value_each():
    value = np.random.default_rng(0).standard_normal((5, 4, 2))
    found = make(event_rank=3).log_prob(value[:, :, None, None, :])
    np.testing.assert_allclose(to_numpy(found), log_prob(value), rtol=1e-5)
    assert make(event_rank=3).sample(0, (5, 4)).shape == (5, 4, 1, 1, 2)


def test_draws_come_from_each_component_as_often_as_it_weighs():
    draws = to_numpy(make().sample(0, (200, 100))).reshape(-1, 2)
    components = stats.norm(MU, np.exp(0.5 * LOG_VAR))
    for dimension in range(2):
        test = stats.kstest(
            draws[:, dimension],
            lambda at, j=dimension: components.cdf(at[:, None, None])[:, :, j] @ softmax(LOGITS),
        )
        assert test.pvalue > 1e-3
    # The choice of the component says nothing of where a draw lies in it.
    first = draws[draws[:, 0] < -1.5]
    assert abs(np.corrcoef(first.T)[0, 1]) < 0.05
    np.testing.assert_allclose(to_numpy(make().mean()), softmax(LOGITS) @ MU, rtol=1e-5)


def test_frozen_no_gradient_flows_into_the_components():
    value = np.zeros((1, 2), "float32")
    assert np.any(gradient(lambda mu: make(mu).log_prob(value), MU))
    frozen = gradient(lambda mu: make(mu).frozen().log_prob(value) + 0.0 * mu[0, 0], MU)
    np.testing.assert_array_equal(frozen, 0.0)
