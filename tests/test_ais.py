"""Annealed importance sampling against evidences that are known exactly."""

import keras
import numpy as np
import pytest
from scipy import stats

import kelbo
from kelbo.ais import Annealed, schedule
from kelbo.distributions import Normal
from kelbo.errors import DataError, UsageError
from tests.support import SHAPE, data, randomise, tiny_ae, tiny_vae
from tests.test_truths import PPCA, correlated, linear_vae, set_linear

D = 3
SHORT = {"chains": 8, "temperatures": 40, "leapfrog_steps": 4, "batch_size": 24}


@pytest.fixture(scope="module")
def toy():
    """z ~ N(0, I), x|z ~ N(z + 1, I), so that x ~ N(1, 2I); q(z|x) is far off."""
    vae = linear_vae(D, D, 1.0)
    zeros = np.zeros(D)
    set_linear(vae, 0.0 * np.eye(D), zeros + 5.0, zeros, np.eye(D), zeros + 1.0)
    return vae


def evidence(x):
    return stats.norm(1.0, np.sqrt(2.0)).logpdf(x).sum(axis=1)


def test_the_weights_are_unbiased_and_the_estimate_is_the_toy_s_evidence(toy):
    x = 1.0 + np.sqrt(2.0) * np.random.default_rng(4).standard_normal((48, D)).astype("float32")
    progress = []
    found = kelbo.annealed_log_likelihood(toy, x, **SHORT, on_progress=progress.append)
    ratios = np.exp(found.log_weights - evidence(x))
    assert ratios.mean() == pytest.approx(1.0, abs=4.0 * ratios.std() / np.sqrt(ratios.size))
    assert 0.01 < ratios.std() < 0.4
    np.testing.assert_allclose(found.log_likelihood, evidence(x), atol=0.7)
    errors = (found.log_likelihood - evidence(x)) / found.standard_error
    assert 0.5 < errors.std() < 2.0
    # The step sizes are found: they begin where nearly all proposals are accepted.
    assert np.abs(found.acceptance - 0.75).max() < 0.2
    assert progress[-1] == 1.0 and progress == sorted(progress)
    # The bound through q(z|x) is no help here.
    assert (toy.log_likelihood(x, 8) - evidence(x)).mean() < -2.0


def test_the_sandwich_holds_the_toy_s_evidence_within_a_tenth_of_a_nat(toy):
    found = kelbo.bidirectional_monte_carlo(toy, 48, **SHORT)
    assert found.x.shape == (48, D)
    truth = evidence(found.x)
    # x comes from the model: its evidence has the mean of minus the entropy of N(1, 2I).
    assert truth.mean() == pytest.approx(-D * 1.7655, abs=4.0 * np.sqrt(0.5 * D / 48))
    low, high = found.forward.log_likelihood - truth, found.reverse.log_likelihood - truth
    assert low.mean() == pytest.approx(0.0, abs=0.1) and high.mean() == pytest.approx(0.0, abs=0.1)
    assert low.mean() < 4.0 * low.std() / np.sqrt(48)
    assert high.mean() > -4.0 * high.std() / np.sqrt(48)
    assert found.gap == pytest.approx(high.mean() - low.mean())
    assert abs(found.gap) < 0.1 and 0.0 < found.standard_error < 0.1
    # Each reverse weight is an unbiased estimate, too.
    ratios = np.exp(truth - found.reverse.log_weights)
    assert ratios.mean() == pytest.approx(1.0, abs=4.0 * ratios.std() / np.sqrt(ratios.size))


def test_a_linear_vae_s_sandwich_holds_ppca_s_evidence():
    ppca = PPCA(correlated(200, 6, 2).astype("float64"), 2)
    vae = linear_vae(6, 2, float(ppca.variance))
    set_linear(vae, ppca.a, -ppca.a @ ppca.mean, ppca.log_var, ppca.w, ppca.mean)
    # More turns than for the toy: p(z|x) is narrow here. One chain at a time.
    long = SHORT | {"temperatures": 80, "rows_per_pass": 24, "chains": 2}
    found = kelbo.bidirectional_monte_carlo(vae, 24, **long)
    truth = ppca.log_prob(found.x)
    low, high = found.forward.log_likelihood - truth, found.reverse.log_likelihood - truth
    assert abs(low.mean()) < 0.1 + 4.0 * low.std() / np.sqrt(24)
    assert abs(high.mean()) < 0.1 + 4.0 * high.std() / np.sqrt(24)


def test_pixels_have_the_evidence_that_a_grid_over_z_gives():
    vae = tiny_vae()
    randomise(vae)
    x = (data(6) > 0.5).astype("float32")
    axis = np.linspace(-6.0, 6.0, 121)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    log_odds = np.log(vae.decode(z).astype("float64") / (1.0 - vae.decode(z)))
    log_px_z = (x[:, None] * log_odds - np.logaddexp(0.0, log_odds)).sum(axis=(2, 3, 4))
    area = (axis[1] - axis[0]) ** 2
    truth = np.log((np.exp(log_px_z) * stats.norm.pdf(z).prod(axis=1)).sum(axis=1) * area)
    found = kelbo.annealed_log_likelihood(vae, x, chains=32, temperatures=40, leapfrog_steps=2)
    np.testing.assert_allclose(found.log_likelihood, truth, atol=0.15)
    assert found.log_likelihood.mean() == pytest.approx(truth.mean(), abs=0.05)
    sandwich = kelbo.bidirectional_monte_carlo(vae, 3, chains=2, temperatures=20, leapfrog_steps=2)
    assert sandwich.x.shape == (3, *SHAPE)
    assert set(np.unique(sandwich.x)) <= {0.0, 1.0}


def test_the_schedule_rises_from_0_to_1_slowly_at_both_ends():
    beta = schedule(10)
    assert beta[0] == 0.0 and beta[-1] == 1.0 and len(beta) == 11
    steps = np.diff(beta)
    assert (steps > 0).all() and steps.argmax() in (4, 5)
    np.testing.assert_allclose(steps, steps[::-1])
    np.testing.assert_array_equal(schedule(1), [0.0, 1.0])


def test_the_estimates_of_both_directions_and_their_errors():
    log_weights = np.log(np.array([[1.0, 2.0], [3.0, 2.0]]))
    forward, reverse = Annealed(log_weights, np.ones(2)), Annealed(log_weights, np.ones(2), True)
    np.testing.assert_allclose(forward.log_likelihood, np.log([2.0, 2.0]))
    np.testing.assert_allclose(reverse.log_likelihood, -np.log([2.0 / 3.0, 0.5]))
    # sd of (1, 3) is sqrt 2, by its mean of 2, by sqrt 2 chains
    np.testing.assert_allclose(forward.standard_error, [0.5, 0.0], atol=1e-12)
    assert np.isinf(Annealed(log_weights[:1], np.ones(2)).standard_error).all()


class OnCircle(Normal):
    def sample(self, seed, sample_shape=()):
        z = super().sample(seed, sample_shape)
        return z / keras.ops.norm(z, axis=-1, keepdims=True)


class CirclePrior(kelbo.StandardNormalPrior):
    def distribution(self, parameters):
        p = super().distribution(parameters)
        return OnCircle(p.mu, p.log_var)


def test_what_cannot_be_annealed_is_refused(toy):
    x = np.zeros((2, D), "float32")
    with pytest.raises(UsageError, match="a kelbo.VAE, received a AE"):
        kelbo.annealed_log_likelihood(tiny_ae(), data(2))
    vae = tiny_vae()
    circle = kelbo.VAE(vae.posterior, vae.likelihood, CirclePrior())
    with pytest.raises(UsageError, match="z lies on a sphere"):
        kelbo.annealed_log_likelihood(circle, data(2))
    for name in ("chains", "temperatures", "leapfrog_steps", "batch_size", "rows_per_pass"):
        with pytest.raises(UsageError, match=f"Expected {name} to be a whole number >= 1"):
            kelbo.annealed_log_likelihood(toy, x, **{name: 0})
    with pytest.raises(UsageError, match="Expected n to be"):
        kelbo.bidirectional_monte_carlo(toy, 0)
    with pytest.raises(DataError, match="Expected data of shape"):
        kelbo.annealed_log_likelihood(toy, np.zeros((2, D + 1)))
    with pytest.raises(DataError, match="Expected the conditions none, received c"):
        kelbo.bidirectional_monte_carlo(toy, 2, context={"c": x})
