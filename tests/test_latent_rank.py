"""z of any rank: every number that is one a datum has the shape (batch,)."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.bounds import statistics
from kelbo.errors import DataError
from tests.support import UntabledPrior, data, to_numpy

LATENT, SHAPE = (2, 2, 3), (4, 4, 1)
X = data(5, SHAPE)


def vae(prior=None):
    x = keras.Input(SHAPE)
    h = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    encoder = keras.Model(x, [layers.Conv2D(3, 1)(h), layers.Conv2D(3, 1)(h)])
    decoder = keras.Sequential(
        [keras.Input(LATENT), layers.Conv2DTranspose(1, 3, strides=2, padding="same")]
    )
    posterior = kelbo.GaussianPosterior(encoder)
    return kelbo.VAE(posterior, kelbo.BernoulliLikelihood(decoder), prior=prior, seed=0)


def test_the_kl_is_that_of_the_same_numbers_in_a_row():
    trace = vae().trace(X)
    mu, log_var = (to_numpy(p).reshape(5, -1) for p in (trace.q.mu, trace.q.log_var))
    expected = 0.5 * np.sum(np.exp(log_var) + mu**2 - 1 - log_var, axis=1)
    np.testing.assert_allclose(to_numpy(trace.kl), expected, rtol=1e-5)
    z = to_numpy(trace.z).reshape(5, -1)
    log_pz = -0.5 * np.sum(z**2 + np.log(2 * np.pi), axis=1)
    np.testing.assert_allclose(to_numpy(trace.log_pz), log_pz, rtol=1e-5)


@pytest.mark.parametrize("prior", [None, UntabledPrior])
def test_every_number_of_a_datum_is_one(prior):
    model = vae(prior and prior())
    many = model.sampled_trace(X, 7, 0)
    for name in ("log_px_z", "log_pz", "log_qz_x", "log_weights"):
        assert getattr(many, name).shape == (7, 5), name
    assert many.z.shape == (7, 5, *LATENT)
    (part,) = statistics(model, [X], 10, 5, 0)
    assert part["bound"].shape == (5,)
    assert part["mean"].shape == (5, 12)
    assert model.log_likelihood(X, 10).shape == (5,)


def test_trains_samples_encodes_and_comes_back_from_a_file(tmp_path):
    model = vae()
    model.compile("adam")
    logs = model.fit(X, verbose=0).history
    assert logs["loss"][0] == pytest.approx(-logs["elbo"][0], rel=1e-5)
    assert model.latent_dim == 12
    assert model.sample(3, seed=0).shape == (3, *SHAPE)
    assert model.encode(X)["mu"].shape == (5, *LATENT)
    assert model.posterior_mean(X).shape == (5, *LATENT)
    assert model.encoder.predict(X, verbose=0).shape == (5, *LATENT)
    np.testing.assert_allclose(
        model.reconstruct(X), model.decode(model.posterior_mean(X)), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(DataError, match=r"z of shape \(n, 2, 2, 3\)"):
        model.decode(np.zeros((5, 12)))
    model.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.log_likelihood(X, 5), model.log_likelihood(X, 5), rtol=1e-5)
