import numpy as np
import pytest
from keras import ops
from scipy import stats

from kelbo.distributions import UniformSphere, VonMisesFisher, kl_divergence
from tests.support import gradient, to_numpy

# SCIENCE.md: dimension, kappa, KL from the uniform distribution in nats.
TRUTHS = [
    (3, 0.5, 0.0406519),
    (3, 2.0, 0.4794092),
    (3, 10.0, 1.9957323),
    (5, 10.0, 2.416177),
    (11, 100.0, 12.069264),
    (50, 100.0, 23.570718),
]
sizes = pytest.mark.parametrize("d", [2, 3, 5, 50])
concentrations = pytest.mark.parametrize("kappa", [0.1, 10.0, 500.0])


def directions(n, d, seed=3):
    values = np.random.default_rng(seed).standard_normal((n, d))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def make(d, kappa, n=1):
    return VonMisesFisher(directions(n, d), np.full((n, 1), kappa))


@pytest.mark.parametrize(("d", "kappa", "expected"), TRUTHS)
def test_the_kl_from_the_uniform_distribution_has_its_known_values(d, kappa, expected):
    kl = float(kl_divergence(make(d, kappa), UniformSphere(d))[0])
    assert kl == pytest.approx(expected, rel=1e-5)


@sizes
def test_the_kl_rises_with_the_concentration_from_zero(d):
    kappas = np.array([[0.0], [1e-3], [0.1], [1.0], [30.0], [1000.0]])
    q = VonMisesFisher(directions(6, d), kappas)
    kl = to_numpy(kl_divergence(q, UniformSphere(d)))
    assert kl[0] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(kl) > -1e-6) and kl[-1] > 2.0
    # KL' = kappa A', A' = 1 - A^2 - (d - 1) / kappa A.
    k = np.array([[0.5], [3.0], [40.0], [500.0]])
    a = to_numpy(VonMisesFisher(directions(4, d), k).mean_resultant_length())
    slope = gradient(
        lambda at: kl_divergence(VonMisesFisher(directions(4, d), at), UniformSphere(d)), k
    )
    np.testing.assert_allclose(slope, k * (1 - a**2 - (d - 1) / k * a), rtol=5e-3, atol=1e-3)


@sizes
@concentrations
def test_the_density_is_scipy_s(d, kappa):
    q, points = make(d, kappa), directions(20, d, seed=4)
    expected = stats.vonmises_fisher(directions(1, d)[0], kappa).logpdf(points)
    found = to_numpy(q.log_prob(points[:, None, :]))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-4)


@sizes
@concentrations
def test_draws_have_the_angle_s_distribution_and_lie_on_the_sphere(d, kappa):
    q, count = make(d, kappa, n=2), 10_000
    z = to_numpy(q.sample(0, (count,)))
    assert z.shape == (count, 2, d)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, atol=1e-6)
    grid = np.linspace(0.0, np.pi, 200_001)[1:-1]
    log_density = (d - 2) * np.log(np.sin(grid)) + kappa * (np.cos(grid) - 1.0)
    below = np.cumsum(np.exp(log_density - log_density.max()))
    for row, mu in enumerate(directions(2, d)):
        angles = np.arccos(np.clip(z[:, row] @ mu, -1.0, 1.0))
        test = stats.kstest(angles, lambda at: np.interp(at, grid, below / below[-1]))
        assert test.pvalue > 1e-3
        # Around mu nothing is preferred: what is left over has mean 0.
        rest = z[:, row] - (z[:, row] @ mu)[:, None] * mu
        error = rest.std(axis=0) / np.sqrt(count) + 1e-7
        assert np.all(np.abs(rest.mean(axis=0)) < 5.0 * error)
    expected = to_numpy(q.mean())
    assert np.abs(z.mean(axis=0) - expected).max() < 5.0 * z.std(axis=0).max() / np.sqrt(count)


@sizes
@pytest.mark.parametrize("kappa", [0.5, 20.0])
def test_a_draw_has_the_gradient_of_the_expectation_in_kappa(d, kappa):
    """d E[mu'z] / d kappa = A' = 1 - A^2 - (d - 1) / kappa A, by the draws alone."""
    mu = ops.convert_to_tensor(directions(1, d).astype("float32"))

    def mean_cosine(at):
        return ops.mean(ops.sum(VonMisesFisher(mu, at).sample(1, (4000,)) * mu, axis=-1))

    a = float(make(d, kappa).mean_resultant_length()[0, 0])
    expected = 1.0 - a * a - (d - 1.0) / kappa * a
    found = float(gradient(mean_cosine, [[kappa]])[0, 0])
    assert found == pytest.approx(expected, rel=0.08)


def test_a_draw_has_the_gradient_of_the_expectation_in_mu():
    """E[z] = A mu, so a step of mu along the sphere moves the mean by A."""
    mu, tangent = np.eye(3)[:1], np.eye(3)[1:2]

    def mean_along(at):
        direction = at / ops.sqrt(ops.sum(ops.square(at)))
        z = VonMisesFisher(direction, np.float32([[5.0]])).sample(1, (4000,))
        return ops.mean(z[..., 1])

    a = float(make(3, 5.0).mean_resultant_length()[0, 0])
    found = gradient(mean_along, mu) @ tangent[0]
    assert found[0] == pytest.approx(a, rel=0.05)


def test_the_uniform_sphere_is_the_concentration_of_zero():
    p, points = UniformSphere(4), directions(5, 4)
    log_prob = to_numpy(p.log_prob(points))
    np.testing.assert_allclose(log_prob, -np.log(2.0 * np.pi**2), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(make(4, 0.0).log_prob(points)), log_prob, rtol=1e-5)
    draws = to_numpy(p.sample(0, (4000,)))
    np.testing.assert_allclose(np.linalg.norm(draws, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(4) / 4.0, atol=0.02)


def test_the_code_is_on_the_sphere_and_the_mean_inside():
    q = make(5, 4.0)
    assert np.linalg.norm(to_numpy(q.code())) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(to_numpy(q.mean())) < 0.9
