import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, softmax

from kelbo.distributions import DiscretisedLogistic, MixtureOfDiscretisedLogistics
from kelbo.distributions.mixture_of_discretised_logistics import parameters_per_pixel
from kelbo.errors import UsageError
from tests.support import gradient, to_numpy

COMPONENTS, CHANNELS, PIXELS = 2, 3, (2, 1)
GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(size=(2, *PIXELS, parameters_per_pixel(COMPONENTS, CHANNELS)))
NUMBERS[..., 2:8] *= 0.4
NUMBERS[..., 8:14] -= 1.0
NUMBERS = np.float32(NUMBERS)
X = GENERATOR.integers(256, size=(2, *PIXELS, CHANNELS)) / 255


def mass(y, location, scale):
    """The mass of a level in float64."""
    low = -np.inf if y < -0.999 else y - 1 / 255
    high = np.inf if y > 0.999 else y + 1 / 255
    return stats.logistic.cdf(high, location, scale) - stats.logistic.cdf(low, location, scale)


def log_prob_of_pixel(numbers, x):
    """By the paper, one component and one channel after the other."""
    numbers = numbers.astype("float64").reshape(-1, COMPONENTS)
    (logits, *rest), y = numbers, 2 * x - 1
    location, scale, coefficient = rest[:3], np.exp(rest[3:6]), np.tanh(rest[6:])
    log_p = np.log(softmax(logits))
    for m in range(COMPONENTS):
        locations = (
            location[0][m],
            location[1][m] + coefficient[0][m] * y[0],
            location[2][m] + coefficient[1][m] * y[0] + coefficient[2][m] * y[1],
        )
        for c in range(3):
            log_p[m] += np.log(mass(y[c], locations[c], scale[c][m]))
    return logsumexp(log_p)


def test_log_prob_is_the_paper_s():
    expected = [
        sum(log_prob_of_pixel(NUMBERS[n, i, 0], X[n, i, 0]) for i in range(2)) for n in range(2)
    ]
    distribution = MixtureOfDiscretisedLogistics(NUMBERS, CHANNELS)
    np.testing.assert_allclose(to_numpy(distribution.log_prob(X)), expected, rtol=1e-5)
    many = to_numpy(distribution.log_prob(np.stack([X, X, X])))
    np.testing.assert_allclose(many, [expected] * 3, rtol=1e-5)


def test_one_component_and_one_channel_are_the_discretised_logistic():
    numbers = np.float32(GENERATOR.normal(size=(4, 3, 2, 3)))
    mixture = MixtureOfDiscretisedLogistics(numbers, 1)
    single = DiscretisedLogistic(numbers[..., 1:2], numbers[..., 2:3], 3)
    x = GENERATOR.integers(256, size=(4, 3, 2, 1)) / 255
    np.testing.assert_allclose(
        to_numpy(mixture.log_prob(x)), to_numpy(single.log_prob(x)), rtol=1e-5
    )
    np.testing.assert_allclose(to_numpy(mixture.mean()), to_numpy(single.mean()), rtol=1e-5)


def test_the_256_levels_of_a_mixture_sum_to_one():
    numbers = np.float32(GENERATOR.normal(size=(3, 3 * 5)))[:, None]
    levels = np.arange(256.0)[:, None, None, None] / 255
    log_prob = MixtureOfDiscretisedLogistics(numbers, 1, event_rank=2).log_prob(levels)
    np.testing.assert_allclose(np.exp(to_numpy(log_prob)).sum(axis=0), 1.0, rtol=1e-5)


def test_two_channels_sum_to_one_over_both():
    numbers = np.float32(GENERATOR.normal(size=(1, 2 * parameters_per_pixel(1, 2))))
    numbers[:, 2:6] *= 0.3
    pairs = np.stack(np.meshgrid(np.arange(256.0), np.arange(256.0)), -1).reshape(-1, 1, 2) / 255
    log_prob = MixtureOfDiscretisedLogistics(numbers, 2, event_rank=1).log_prob(pairs)
    assert np.exp(to_numpy(log_prob)).sum() == pytest.approx(1.0, rel=1e-4)


def test_draws_have_the_probability_that_log_prob_says():
    """The mean log-probability of draws is that of the law: minus its entropy, summed exactly."""
    numbers = NUMBERS[:1, :, :, : 2 * parameters_per_pixel(1, 2)].reshape(1, 2, 12)[:, :1]
    distribution = MixtureOfDiscretisedLogistics(numbers, 2, event_rank=2)
    pairs = np.stack(np.meshgrid(np.arange(256.0), np.arange(256.0)), -1).reshape(-1, 1, 1, 2) / 255
    log_p = to_numpy(distribution.log_prob(pairs))[:, 0]
    p = np.exp(log_p)
    draws = distribution.sample(0, (10_000,))
    assert draws.shape == (10_000, 1, 1, 2)
    found = to_numpy(distribution.log_prob(draws))[:, 0]
    error = found.std() / 100.0
    assert abs(found.mean() - p @ log_p) < 4.0 * error
    for statistic in (lambda x: x[..., 0], lambda x: x[..., 1], lambda x: x[..., 0] * x[..., 1]):
        drawn, exact = statistic(to_numpy(draws))[:, 0], statistic(pairs)[:, 0, 0]
        assert abs(drawn.mean() - p @ exact) < 4.0 * drawn.std() / 100.0
    np.testing.assert_allclose(255 * to_numpy(draws) % 1 % (1 - 1e-4), 0.0, atol=1e-4)


def test_what_is_typical_is_the_mean_of_the_draws_where_no_end_cuts_off():
    numbers = np.zeros((1, 1, 1, parameters_per_pixel(COMPONENTS, CHANNELS)), "float32")
    numbers[..., 0:2] = [0.5, -0.5]
    numbers[..., 2:8] = [0.2, -0.3, 0.1, 0.0, -0.2, 0.1]
    numbers[..., 8:14] = -4.0
    numbers[..., 14:] = [0.5, -0.7, 0.3, 0.2, -0.4, 0.6]
    distribution = MixtureOfDiscretisedLogistics(numbers, CHANNELS)
    draws = to_numpy(distribution.sample(0, (20_000,)))
    error = draws.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(draws.mean(axis=0) - to_numpy(distribution.typical())) < 4.5 * error)
    with pytest.raises(UsageError, match="has no closed form"):
        distribution.mean()


def test_the_gradient_is_finite_far_in_the_tails():
    numbers = NUMBERS.copy()
    numbers[..., 2:8] = 20.0
    numbers[..., 8:14] = -9.0
    slope = gradient(lambda at: MixtureOfDiscretisedLogistics(at, CHANNELS).log_prob(X), numbers)
    assert np.isfinite(slope).all()
