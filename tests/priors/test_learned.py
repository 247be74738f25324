"""Priors with weights of their own: mixtures and flows."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo import flows
from kelbo.errors import UsageError
from tests.latents import PRIORS, D
from tests.support import data, to_numpy

LEARNED = [name for name in PRIORS if name not in ("standard-normal", "vamp", "uniform-sphere")]


@pytest.mark.parametrize("name", LEARNED)
def test_samples_have_the_density(name):
    """E_p[r(z) / p(z)] = 1 for any density r: here a narrow normal one, over the draws of p."""
    prior = PRIORS[name]()
    prior.build((2,))
    generator = np.random.default_rng(0)
    for weight in prior.weights:
        weight.assign(0.3 * generator.standard_normal(weight.shape).astype("float32"))
    p = prior.distribution(prior.call())
    z, log_p = p.sample_and_log_prob(0, (20_000,))
    z, log_p = to_numpy(z), to_numpy(log_p)
    log_r = -0.5 * np.sum((z / 0.7) ** 2, axis=-1) - np.log(2.0 * np.pi * 0.49)
    ratio = np.exp(log_r - log_p)
    assert ratio.mean() == pytest.approx(1.0, abs=5.0 * ratio.std() / np.sqrt(len(z)))
    grid = np.linspace(-9.0, 9.0, 301)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    total = np.exp(to_numpy(p.log_prob(points))).sum() * (grid[1] - grid[0]) ** 2
    assert total == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("name", LEARNED)
def test_learns_what_is_not_standard_normal(name):
    """Trained on points in two places it comes near their entropy, N(0, I) does not."""
    generator = np.random.default_rng(0)
    places = np.where(generator.random((512, 1)) < 0.5, -2.0, 2.0)
    z = (places + 0.3 * generator.standard_normal((512, 2))).astype("float32")
    prior = PRIORS[name]()
    prior.build((2,))

    class Density(keras.Model):
        def __init__(self):
            super().__init__()
            self.prior = prior
            self.built = True

        def call(self, x):
            return x

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return -keras.ops.mean(prior.distribution(prior.call()).log_prob(x))

    model = Density()
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(z, batch_size=128, epochs=40, verbose=0)
    log_prob = to_numpy(prior.distribution(prior.call()).log_prob(z)).mean()
    entropy = np.log(2.0) + np.log(2.0 * np.pi * np.e * 0.09)
    normal = -0.5 * np.mean(np.sum(z**2, axis=-1)) - np.log(2.0 * np.pi)
    assert normal < -5.0
    assert log_prob > -entropy - 0.7


def test_the_components_of_a_mixture_begin_apart():
    prior = kelbo.MixturePrior(30)
    prior.build((D,))
    mu = to_numpy(prior.mu)
    distance = np.linalg.norm(mu[:, None] - mu, axis=-1) + np.eye(30)
    assert distance.min() > 0.05
    with pytest.raises(UsageError, match="num_components >= 1"):
        kelbo.MixturePrior(0)


@pytest.mark.parametrize("name", [*LEARNED, "vamp"])
def test_z_may_be_an_image(name):
    shape = (4, 4, 1)
    x = keras.Input(shape)
    mu, log_var = (layers.Conv2D(2, 3, strides=2, padding="same")(x) for _ in range(2))
    up = [keras.Input((2, 2, 2)), layers.Conv2DTranspose(1, 3, strides=2, padding="same")]
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(keras.Model(x, [mu, log_var])),
        kelbo.BernoulliLikelihood(keras.Sequential(up)),
        prior=PRIORS[name](),
        seed=0,
    )
    trace = vae.sampled_trace(data(5, shape), 7, 0)
    assert trace.log_pz.shape == (7, 5)
    assert vae.sample(3, seed=0).shape == (3, *shape)


def test_a_flow_prior_is_kept_with_its_sizes():
    prior = kelbo.FlowPrior(flows.MaskedAutoregressiveFlow(3, 7))
    again = kelbo.FlowPrior.from_config(prior.get_config())
    assert (again.flow.num_layers, again.flow.hidden_units) == (3, 7)
