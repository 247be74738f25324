"""Models whose q(z|x) is not normal: their figures come from its draws."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.clinic.diagnosis.moments import moments
from kelbo.distributions import Distribution, Normal, VonMisesFisher
from tests import kinds
from tests.latents import model
from tests.support import data, to_numpy


class Unknown(Distribution):
    """A normal distribution that does not tell its mean."""

    def __init__(self, base):
        super().__init__(base.event_rank)
        self.base = base

    def log_prob(self, value):
        return self.base.log_prob(value)

    def sample(self, seed, sample_shape=()):
        return self.base.sample(seed, sample_shape)


def test_moments_are_estimated_where_they_are_not_known():
    mu, log_var = np.array([[0.5, -30.0], [2.0, 0.0]]), np.array([[-1.0, 2.0], [-14.0, 0.3]])
    mean, found = moments(Unknown(Normal(mu, log_var)))
    assert np.all(np.abs(mean - mu) < 5.0 * np.exp(0.5 * log_var) / np.sqrt(1024))
    np.testing.assert_allclose(found, log_var, atol=0.3)


def test_a_mean_that_is_known_is_exact():
    q = VonMisesFisher([[0.6, 0.8]], [[5.0]])
    mean, log_var = moments(q)
    np.testing.assert_allclose(mean, to_numpy(q.mean()), rtol=1e-6)
    a = np.linalg.norm(mean)
    total = np.exp(log_var).sum()  # E|z|^2 - |E z|^2 on the circle
    assert total == pytest.approx(1.0 - a**2, rel=0.3)


def test_the_figures_are_those_of_an_evaluation():
    vae, x = kinds.MODELS["flow"](), kinds.inputs("flow", 500)
    vae.compile("adam")
    found = kelbo.diagnose(vae, x).figures
    logged = vae.evaluate(x, batch_size=500, verbose=0, return_dict=True)
    assert found["kl"] == pytest.approx(logged["kl"], abs=0.3)
    assert found["elbo"] == pytest.approx(logged["elbo"], abs=0.6)


def test_on_a_sphere_of_many_dimensions_no_dimension_is_missed():
    """Each mean has a variance below 1 / d there, and that is much."""
    x = np.random.default_rng(0).standard_normal((300, 40)).astype("float32")
    network = keras.Sequential([keras.Input((40,)), keras.layers.Reshape((40,))])
    decoder = keras.Sequential([keras.Input((40,)), keras.layers.Dense(40)])
    q = kelbo.VonMisesFisherPosterior(network, 40)
    vae = kelbo.VAE(q, kelbo.GaussianLikelihood(decoder), prior=kelbo.UniformSpherePrior())
    mu, kappa = q.heads()
    mu.kernel.assign(np.eye(40))
    kappa.bias.assign([40.0])
    vae.compile("adam")
    found = kelbo.diagnose(vae, x)
    assert found.figures["active_units"] == 40
    activity = np.array(found.figures["activity"])
    a = to_numpy(vae.trace(x[:1]).q.mean_resultant_length())[0, 0]
    np.testing.assert_allclose(activity.mean(), a**2, rtol=0.05)


def test_a_collapse_is_found_whatever_the_posterior():
    x = data(100)
    for name in ("radial", "von-mises-fisher"):
        vae = model(name, "uniform-sphere" if name == "von-mises-fisher" else "standard-normal")
        vae.compile("adam")
        vae.fit(x, batch_size=100, verbose=0)
        vae.optimizer.iterations.assign(1000)
        for head in vae.posterior.heads():
            head.kernel.assign(0.0 * head.kernel)
            head.bias.assign(head.bias + 0.1)
        found = {finding.name for finding in kelbo.diagnose(vae, x).findings}
        assert "posterior-collapse" in found, name
