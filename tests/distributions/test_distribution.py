"""What every distribution promises, whatever its formula."""

import numpy as np
import pytest

from kelbo.distributions import Bernoulli, ContinuousBernoulli, Normal
from kelbo.distributions.point_mass import PointMass
from tests.support import to_numpy

LOGITS = np.array([[-4.0, -0.3, 0.0], [0.5, 2.0, 6.0]])
MAKE = {
    "normal": lambda event_rank: Normal(LOGITS, 0.5 * LOGITS - 1.0, event_rank),
    "bernoulli": lambda event_rank: Bernoulli(LOGITS, event_rank),
    "continuous-bernoulli": lambda event_rank: ContinuousBernoulli(LOGITS, event_rank),
}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())


@every
@pytest.mark.parametrize(
    ("event_rank", "batch_shape"), [(0, (2, 3)), (1, (2,)), (2, ())], ids=["0", "1", "2"]
)
def test_log_prob_sums_over_the_event_axes_alone(make, event_rank, batch_shape):
    distribution = make(event_rank)
    value = np.full((5, 2, 3), 1.0)
    per_dimension = to_numpy(distribution.log_prob_per_dimension(value))
    log_prob = to_numpy(distribution.log_prob(value))
    assert per_dimension.shape == (5, 2, 3)
    assert log_prob.shape == (5, *batch_shape)
    np.testing.assert_allclose(
        log_prob, per_dimension.sum(axis=tuple(range(3 - event_rank, 3))), rtol=2e-6
    )


@every
@pytest.mark.parametrize("sample_shape", [(), (4,), (4, 7)], ids=str)
def test_a_sample_has_its_sample_axes_in_front(make, sample_shape):
    sample = make(1).sample(0, sample_shape)
    assert sample.shape == (*sample_shape, 2, 3)
    assert to_numpy(make(1).log_prob(sample)).shape == (*sample_shape, 2)


@every
def test_the_mean_of_many_samples_is_the_mean(make):
    distribution = make(1)
    sample = to_numpy(distribution.sample(3, (40_000,)))
    standard_error = sample.std(axis=0) / 200.0
    error = np.abs(sample.mean(axis=0) - to_numpy(distribution.mean()))
    assert np.all(error < 5.0 * standard_error)


@every
def test_samples_differ_along_every_axis_and_repeat_with_their_seed(make):
    first, again, other = (to_numpy(make(1).sample(seed, (50,))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert np.all(first.std(axis=(0, 1)) > 0.0)


@every
def test_computes_in_float32_whatever_arrives(make):
    distribution = make(1)
    half = np.ones((2, 3), "float16")
    for tensor in (distribution.mean(), distribution.sample(0), distribution.log_prob(half)):
        assert "float32" in str(tensor.dtype)


def test_the_bernoulli_sums_to_one():
    zero, one = (
        to_numpy(Bernoulli(LOGITS, 0).log_prob(np.full_like(LOGITS, value))) for value in (0.0, 1.0)
    )
    np.testing.assert_allclose(np.exp(zero) + np.exp(one), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [(MAKE["normal"], -25.0, 25.0), (MAKE["continuous-bernoulli"], 0.0, 1.0)],
    ids=["normal", "continuous-bernoulli"],
)
def test_the_density_integrates_to_one(make, low, high):
    grid, nodes = np.polynomial.legendre.leggauss(300)
    value = low + (high - low) * (grid + 1.0) / 2.0
    density = np.exp(to_numpy(make(0).log_prob(value[:, None, None])))
    integral = (high - low) / 2.0 * np.tensordot(nodes, density, axes=1)
    np.testing.assert_allclose(integral, 1.0, rtol=1e-5)


def test_the_point_mass_is_its_point_and_has_no_density():
    point = PointMass(LOGITS)
    np.testing.assert_array_equal(to_numpy(point.sample(0, (4,))), np.float32([LOGITS] * 4))
    np.testing.assert_array_equal(to_numpy(point.mean()), np.float32(LOGITS))
    with pytest.raises(ValueError, match="no density"):
        point.log_prob(LOGITS)
