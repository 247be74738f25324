"""Posteriors that put heads of their own on features: full covariance, sphere, flows."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.errors import UsageError
from tests.latents import POSTERIORS, D, encoder, model
from tests.support import SHAPE, data, to_numpy

X = data(6)
HEADS = {
    "full-covariance": ["mu", "log_diagonal", "below"],
    "von-mises-fisher": ["mu", "kappa"],
    "planar": ["mu", "log_var", "planar"],
    "radial": ["mu", "log_var", "radial"],
    "householder": ["mu", "log_var", "householder"],
    "inverse-autoregressive": ["mu", "log_var", "context"],
    "flow-of-full-covariance": ["mu", "log_diagonal", "below", "radial"],
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_have_no_activation_and_their_own_names(name):
    posterior = POSTERIORS[name]()
    posterior.build()
    assert [head.name for head in posterior.heads()] == HEADS[name]
    features = to_numpy(posterior.network(X))
    parameters = posterior(X)
    for head in posterior.heads():
        kernel, bias = map(to_numpy, head.weights)
        raw = features @ kernel + bias
        if name == "von-mises-fisher":
            raw = (
                np.log1p(np.exp(raw)) + 1.0
                if head.name == "kappa"
                else raw / np.linalg.norm(raw, axis=-1, keepdims=True)
            )
        np.testing.assert_allclose(to_numpy(parameters[head.name]), raw, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_frozen_head_is_frozen_in_the_file_too(name, tmp_path):
    vae = model(name, "uniform-sphere" if name == "von-mises-fisher" else "standard-normal")
    vae.posterior.heads()[-1].trainable = False
    vae.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    assert [head.trainable for head in again.posterior.heads()] == [
        head.trainable for head in vae.posterior.heads()
    ]
    assert len(again.trainable_weights) == len(vae.trainable_weights)


def two_outputs():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(D)(h), layers.Dense(D)(h)])


@pytest.mark.parametrize("kind", [kelbo.FullCovariancePosterior, kelbo.VonMisesFisherPosterior])
def test_what_it_cannot_be_made_of_is_refused(kind):
    with pytest.raises(UsageError, match="latent_dim >= 2, received 1"):
        kind(encoder(), 1)
    with pytest.raises(UsageError, match="a network with one output"):
        kind(two_outputs(), D)


def test_a_flow_takes_its_parameters_from_all_outputs_of_a_network():
    posterior = kelbo.FlowPosterior(kelbo.GaussianPosterior(two_outputs()))
    posterior.build()
    assert posterior.heads()[-1].kernel.shape[0] == 2 * D
    q = posterior.distribution(posterior(X))
    assert q.sample(0, (5,)).shape == (5, 6, D)


def test_a_householder_flow_s_kl_is_that_of_its_base_from_the_standard_normal():
    vae = model("householder", "standard-normal")
    trace = vae.sampled_trace(X, 20_000, 1)
    sampled = to_numpy(trace.kl)
    base = trace.q.base
    mu, log_var = to_numpy(base.mu), to_numpy(base.log_var)
    expected = 0.5 * np.sum(np.exp(log_var) + mu**2 - 1.0 - log_var, axis=-1)
    error = 5.0 * sampled.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(sampled.mean(axis=0) - expected) < error)


@pytest.mark.parametrize("name", ["full-covariance", "von-mises-fisher"])
def test_the_kl_in_closed_form_is_the_mean_of_its_draws(name):
    vae = model(name, "uniform-sphere" if name == "von-mises-fisher" else "standard-normal")
    trace = vae.sampled_trace(X, 20_000, 1)
    sampled = to_numpy(trace.log_qz_x - trace.log_pz)
    assert trace.kl.shape == (6,)
    error = 5.0 * sampled.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(sampled.mean(axis=0) - to_numpy(trace.kl)) < error + 1e-5)
