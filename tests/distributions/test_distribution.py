"""What every distribution promises, whatever its formula."""

import numpy as np
import pytest

from kelbo.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    ContinuousBernoulli,
    DiscretisedLogistic,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Normal,
    Ordinal,
    PointMass,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from kelbo.errors import UsageError
from tests.support import to_numpy

LOGITS = np.array([[-4.0, -0.3, 0.0], [0.5, 2.0, 6.0]])
CUTS = np.array([-1.0, 0.5, 2.0]) - LOGITS[..., None]
SMALL = 0.3 * LOGITS
# Each takes event_rank, and each can be 1 or 0.5.
MAKE = {
    "normal": lambda event_rank: Normal(LOGITS, 0.5 * LOGITS - 1.0, event_rank),
    "bernoulli": lambda event_rank: Bernoulli(LOGITS, event_rank),
    "continuous-bernoulli": lambda event_rank: ContinuousBernoulli(LOGITS, event_rank),
    "laplace": lambda event_rank: Laplace(LOGITS, SMALL, event_rank),
    "student-t": lambda event_rank: StudentT(LOGITS, SMALL, 1.5 + SMALL, event_rank),
    "log-normal": lambda event_rank: LogNormal(SMALL, -1.0, event_rank),
    "beta": lambda event_rank: Beta(SMALL, 3.0 + SMALL, event_rank),
    "ordinal": lambda event_rank: Ordinal(CUTS, event_rank),
    "poisson": lambda event_rank: Poisson(SMALL, event_rank),
    "negative-binomial": lambda event_rank: NegativeBinomial(SMALL, 1.0, event_rank),
    "zero-inflated-poisson": lambda event_rank: ZeroInflatedPoisson(SMALL, -SMALL, event_rank),
    "zero-inflated-negative-binomial": lambda event_rank: ZeroInflatedNegativeBinomial(
        SMALL, -SMALL, 0.5, event_rank
    ),
    "discretised-logistic": lambda event_rank: DiscretisedLogistic(
        0.2 * LOGITS, SMALL - 3.0, event_rank
    ),
    "categorical": lambda event_rank: Categorical(CUTS, event_rank),
}
WITHOUT_MEAN = ("categorical",)
WHOLE = {  # what has probabilities: all values that count
    "bernoulli": np.arange(2.0),
    "ordinal": np.arange(4.0),
    "categorical": np.arange(3.0),
    "discretised-logistic": np.arange(256.0) / 255.0,
    "poisson": np.arange(60.0),
    "negative-binomial": np.arange(400.0),
    "zero-inflated-poisson": np.arange(60.0),
    "zero-inflated-negative-binomial": np.arange(400.0),
}
DENSITIES = {  # where they are integrated
    "normal": (-25.0, 25.0),
    "continuous-bernoulli": (0.0, 1.0),
    "log-normal": (1e-9, 100.0),
    "beta": (0.0, 1.0),
}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())


@every
@pytest.mark.parametrize(
    ("event_rank", "batch_shape"), [(0, (2, 3)), (1, (2,)), (2, ())], ids=["0", "1", "2"]
)
def test_log_prob_sums_over_the_event_axes_alone(make, event_rank, batch_shape):
    distribution = make(event_rank)
    value = np.full((5, 2, 3), 0.5 if isinstance(distribution, Beta) else 1.0)
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


@pytest.mark.parametrize("name", [name for name in MAKE if name not in WITHOUT_MEAN])
def test_the_mean_of_many_samples_is_the_mean(name):
    distribution = MAKE[name](1)
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
    for tensor in (distribution.mode(), distribution.sample(0), distribution.log_prob(half)):
        assert "float32" in str(tensor.dtype)


@pytest.mark.parametrize("name", WHOLE)
def test_probabilities_sum_to_one_and_the_mode_is_the_largest(name):
    distribution, values = MAKE[name](0), WHOLE[name]
    probabilities = np.exp(to_numpy(distribution.log_prob(values[:, None, None])))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, rtol=1e-5)
    at_mode = np.exp(to_numpy(distribution.log_prob(distribution.mode())))
    np.testing.assert_allclose(at_mode, probabilities.max(axis=0), rtol=1e-5)
    if name not in WITHOUT_MEAN:
        mean = np.tensordot(values, probabilities, axes=1)
        np.testing.assert_allclose(to_numpy(distribution.mean()), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_density_integrates_to_one(name):
    low, high = DENSITIES[name]
    grid, nodes = np.polynomial.legendre.leggauss(400)
    value = low + (high - low) * (grid + 1.0) / 2.0
    density = np.exp(to_numpy(MAKE[name](0).log_prob(value[:, None, None])))
    integral = (high - low) / 2.0 * np.tensordot(nodes, density, axes=1)
    np.testing.assert_allclose(integral, 1.0, rtol=3e-5)


@pytest.mark.parametrize("name", ["normal", "laplace", "student-t", "log-normal", "beta"])
def test_the_density_is_largest_at_the_mode(name):
    distribution = MAKE[name](0)
    mode = to_numpy(distribution.mode())
    at_mode, right, left = (
        to_numpy(distribution.log_prob(mode * factor + step))
        for factor, step in ((1.0, 0.0), (1.01, 1e-3), (0.99, -1e-3))
    )
    inside = (mode > 0.0) & (mode < 1.0) if name == "beta" else np.full(mode.shape, True)
    assert inside.any()
    assert np.all(at_mode[inside] >= np.maximum(right, left)[inside])


def test_classes_have_no_mean():
    with pytest.raises(UsageError, match="mean of a Categorical has no closed form"):
        MAKE["categorical"](1).mean()


# Data whose best constant is known, and what it must not be worse than, on either side.
BEST = {
    "laplace": lambda x, by: Laplace(np.median(x, axis=0) + by + 0.0 * x, 0.3),
    "log-normal": lambda x, by: LogNormal(np.log(x).mean(axis=0) + by + 0.0 * x, 0.3),
    "poisson": lambda x, by: Poisson(np.log(x.mean(axis=0)) + by + 0.0 * x),
    "negative-binomial": lambda x, by: NegativeBinomial(np.log(x.mean(axis=0)) + by + 0.0 * x, 0.3),
}


@pytest.mark.parametrize("name", BEST)
def test_the_best_constant_is_the_likeliest(name):
    x = 1.0 + np.random.default_rng(0).poisson(2.0, (200, 3))
    make = BEST[name]
    best = make(x, 0.1).best_constant(x)
    log_prob = to_numpy(best.log_prob(x)).mean()
    assert log_prob == pytest.approx(to_numpy(make(x, 0.0).log_prob(x)).mean(), rel=1e-6)
    for by in (-0.02, 0.02):
        assert to_numpy(make(x, by).log_prob(x)).mean() < log_prob


@pytest.mark.parametrize("make", [Categorical, Ordinal])
def test_the_best_constant_of_classes_is_their_shares(make):
    x = np.random.default_rng(0).integers(3, size=(500, 2)).astype("float32")
    x[:, 1] = 0.0
    best = make(
        np.array([[0.3, 0.7, 0.9][: 3 if make is Categorical else 2]] * 2)[None]
    ).best_constant(x)
    shares = np.stack([(np.sum(x == k, axis=0) + 1.0) / 503.0 for k in range(3)])
    for k, share in enumerate(shares):
        log_prob = to_numpy(best.log_prob_per_dimension(np.full_like(x, k)))
        np.testing.assert_allclose(log_prob, np.broadcast_to(np.log(share), x.shape), rtol=1e-4)


@every
def test_a_frozen_distribution_is_the_same(make):
    x = make(1).sample(0)
    np.testing.assert_array_equal(
        to_numpy(make(1).frozen().log_prob(x)), to_numpy(make(1).log_prob(x))
    )


def test_the_point_mass_is_its_point_and_has_no_density():
    point = PointMass(LOGITS)
    np.testing.assert_array_equal(to_numpy(point.sample(0, (4,))), np.float32([LOGITS] * 4))
    np.testing.assert_array_equal(to_numpy(point.mean()), np.float32(LOGITS))
    with pytest.raises(ValueError, match="no density"):
        point.log_prob(LOGITS)
