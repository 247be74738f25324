import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logit

from kelbo.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Laplace,
    MultivariateNormal,
    Normal,
    UniformSphere,
    VonMisesFisher,
    closed_form,
    has_closed_form,
    has_kl_per_dimension,
    kl,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.errors import UsageError
from tests.support import to_numpy

EXAMPLES = {
    (Normal, Normal): (
        Normal([[0.5, -1.0, 2.0]], [[0.3, -1.0, 1.0]]),
        Normal([[0.0, 0.4, 1.0]], [[-0.2, 0.5, 1.2]]),
    ),
    (Bernoulli, Bernoulli): (Bernoulli([[-2.0, 0.0, 1.0]]), Bernoulli([[0.5, -0.4, 1.4]])),
    (ContinuousBernoulli, ContinuousBernoulli): (
        ContinuousBernoulli([[-7.0, 0.1, 3.0]]),
        ContinuousBernoulli([[-1.0, -2.0, 6.0]]),
    ),
    (Categorical, Categorical): (
        Categorical([[[1.0, -0.5, 2.0], [0.0, 0.0, 0.0], [3.0, -2.0, 0.1]]]),
        Categorical([[[0.0, 0.2, 0.4], [1.0, -1.0, 0.5], [3.0, 1.0, 0.0]]]),
    ),
    (Laplace, Laplace): (
        Laplace([[0.5, -1.0, 2.0]], [[0.3, -1.0, 1.0]]),
        Laplace([[0.0, 0.4, 2.0]], [[-0.2, 0.5, 1.2]]),
    ),
    (Normal, Laplace): (
        Normal([[0.5, -1.0, 2.0]], [[0.3, -1.0, 1.0]]),
        Laplace([[0.0, 0.4, 2.0]], [[-0.2, 0.5, 1.2]]),
    ),
    (Laplace, Normal): (
        Laplace([[0.5, -1.0, 2.0]], [[0.3, -1.0, 0.1]]),
        Normal([[0.0, 0.4, 2.0]], [[-0.2, 0.5, 1.2]]),
    ),
}
# Pairs whose dimensions depend on one another: they have the KL of whole values.
WHOLE = {
    (MultivariateNormal, Normal): (
        MultivariateNormal([[0.5, -1.0]], [[[1.2, 0.0], [-0.7, 0.4]]]),
        Normal([0.2, 0.4], [0.3, -0.5]),
    ),
    (VonMisesFisher, UniformSphere): (
        VonMisesFisher([[0.6, 0.0, 0.8]], [[3.0]]),
        UniformSphere(3),
    ),
}
pairs = pytest.mark.parametrize(
    ("q", "p"), EXAMPLES.values(), ids=[f"{q.__name__}-{p.__name__}" for q, p in EXAMPLES]
)
all_pairs = pytest.mark.parametrize(
    ("q", "p"),
    [*EXAMPLES.values(), *WHOLE.values()],
    ids=[q.__name__ for q, _ in [*EXAMPLES, *WHOLE]],
)
parameters = arrays("float32", (2, 3), elements=st.floats(-8.0, 8.0, width=32))


def test_every_pair_of_the_table_is_tested():
    assert {*EXAMPLES, *WHOLE} == set(kl._TABLE)


@all_pairs
def test_the_closed_form_is_the_mean_of_log_q_minus_log_p(q, p):
    z = q.sample(5, (100_000,))
    estimates = to_numpy(q.log_prob(z) - p.log_prob(z))[:, 0]
    standard_error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - float(kl_divergence(q, p)[0])) < 4.0 * standard_error


@pairs
def test_the_divergence_is_the_sum_of_its_dimensions(q, p):
    per_dimension = to_numpy(kl_per_dimension(q, p))
    assert per_dimension.shape == (1, 3)
    np.testing.assert_allclose(to_numpy(kl_divergence(q, p)), per_dimension.sum(-1), rtol=1e-6)


def test_bernoulli_against_its_known_value():
    q, p = (Bernoulli([logit(probability)]) for probability in (0.3, 0.5))
    assert float(kl_divergence(q, p)) == pytest.approx(0.0822829, abs=1e-7)


def test_categorical_against_the_uniform_is_log_k_less_the_entropy():
    logits = np.array([1.0, -0.5, 2.0, 0.0, -30.0])
    p = np.exp(logits) / np.exp(logits).sum()
    value = float(kl_divergence(Categorical(logits, 0), Categorical(np.zeros(5), 0)))
    assert value == pytest.approx(np.log(5.0) + np.sum(p * np.log(p)), abs=1e-6)


@given(mu=parameters, log_var=parameters)
def test_normal_against_the_full_gaussian_formula(mu, log_var):
    (m1, m2), (v1, v2) = mu.astype("float64"), np.exp(log_var.astype("float64"))
    difference = m2 - m1
    expected = 0.5 * (
        np.trace(np.diag(1.0 / v2) @ np.diag(v1))
        + difference @ np.diag(1.0 / v2) @ difference
        - 3
        + np.log(np.prod(v2) / np.prod(v1))
    )
    value = float(kl_divergence(Normal(mu[0], log_var[0]), Normal(mu[1], log_var[1])))
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(mu=parameters, log_var=parameters)
def test_normal_against_the_standard_normal_is_the_vae_s_formula(mu, log_var):
    m, lv = mu.astype("float64"), log_var.astype("float64")
    expected = -0.5 * np.sum(1.0 + lv - m**2 - np.exp(lv), axis=-1)
    standard = Normal(np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(
        to_numpy(kl_divergence(Normal(mu, log_var), standard)), expected, rtol=1e-5, atol=1e-5
    )


@given(first=parameters, second=parameters)
@pytest.mark.parametrize(
    "make",
    [lambda a: Normal(a[0], a[1]), lambda a: Bernoulli(a[0]), lambda a: ContinuousBernoulli(a[0])]
    + [lambda a: Laplace(a[0], 0.25 * a[1]), lambda a: Categorical(a)],
    ids=["normal", "bernoulli", "continuous-bernoulli", "laplace", "categorical"],
)
def test_is_never_negative_and_zero_for_equal_distributions(make, first, second):
    rounding = 5e-6
    assert np.all(to_numpy(kl_per_dimension(make(first), make(second))) >= -rounding)
    np.testing.assert_array_equal(to_numpy(kl_per_dimension(make(first), make(first))), 0.0)


@pytest.mark.parametrize("step", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("start", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize(
    "make",
    [lambda a: Normal([a], [0.0]), lambda a: Normal([0.0], [a])]
    + [lambda a: Bernoulli([a]), lambda a: ContinuousBernoulli([a])],
    ids=["normal-mu", "normal-log-var", "bernoulli", "continuous-bernoulli"],
)
def test_is_positive_for_different_distributions(make, start, step):
    assert float(kl_divergence(make(start), make(start + step))) > 1e-5


def test_a_pair_outside_the_table_is_named():
    q, p = Normal([0.0], [0.0]), Bernoulli([0.0])
    assert not has_closed_form(q, p)
    with pytest.raises(UsageError, match="KL of Normal from Bernoulli"):
        kl_divergence(q, p)


@pytest.mark.parametrize(("q", "p"), WHOLE.values(), ids=[q.__name__ for q, _ in WHOLE])
def test_a_kl_of_whole_values_has_no_shares_of_dimensions(q, p):
    assert has_closed_form(q, p) and not has_kl_per_dimension(q, p)
    assert kl_divergence(q, p).shape == (1,)
    with pytest.raises(UsageError, match="KL of .* is that of whole values"):
        kl_per_dimension(q, p)


def test_a_full_covariance_against_the_full_gaussian_formula():
    mu, factor = np.array([0.5, -1.0, 2.0]), np.array([[1.0, 0, 0], [0.4, 0.3, 0], [-1, 2, 0.7]])
    covariance = factor @ factor.T
    expected = 0.5 * (np.trace(covariance) + mu @ mu - 3 - np.log(np.linalg.det(covariance)))
    value = kl_divergence(MultivariateNormal(mu[None], factor[None]), Normal([0.0] * 3, [0.0] * 3))
    assert float(value[0]) == pytest.approx(expected, rel=1e-6)


def test_a_diagonal_factor_has_the_diagonal_gaussian_s_kl():
    mu, log_var = np.array([[0.5, -1.0]]), np.array([[0.4, -2.0]])
    full = MultivariateNormal(mu, np.exp(0.5 * log_var)[..., None] * np.eye(2))
    p = Normal([0.3, 0.1], [-0.4, 0.2])
    np.testing.assert_allclose(
        to_numpy(kl_divergence(full, p)), to_numpy(kl_divergence(Normal(mu, log_var), p)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("q", "p", "message"),
    [(float, Normal, "two subclasses"), (Normal, Normal, "has \\(Normal, Normal\\) already")],
)
def test_what_cannot_be_entered_is_refused(q, p, message):
    with pytest.raises(UsageError, match=message):
        closed_form(q, p)
