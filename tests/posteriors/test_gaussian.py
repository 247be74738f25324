import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_encoder
from kelbo.posteriors.gaussian import GaussianSampling
from tests.support import LATENT, SHAPE, data, noise, tiny_ae, tiny_vae, to_numpy


def test_puts_mu_and_log_var_without_activation_on_the_features():
    posterior = tiny_vae().posterior
    features = to_numpy(posterior.network(data(4)))
    parameters = posterior(data(4))
    for name in ("mu", "log_var"):
        kernel, bias = (to_numpy(weight) for weight in getattr(posterior, name).weights)
        np.testing.assert_allclose(
            to_numpy(parameters[name]), features @ kernel + bias, rtol=1e-5, atol=1e-6
        )


@pytest.mark.usefixtures("fixed_noise")
def test_the_encoder_s_output_is_mu_plus_sigma_epsilon():
    vae = tiny_vae()
    parameters = {name: to_numpy(value) for name, value in vae.posterior(data(4)).items()}
    expected = parameters["mu"] + np.exp(0.5 * parameters["log_var"]) * noise((4, LATENT))
    np.testing.assert_allclose(to_numpy(vae.encoder(data(4))), expected, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(vae(data(4))["z"]), expected, rtol=1e-5)


def test_the_sampling_layer_draws_afresh_for_every_row_and_call():
    layer = GaussianSampling(seed=0)
    zeros = np.zeros((200, 3), "float32")
    first, second = to_numpy(layer([zeros, zeros])), to_numpy(layer([zeros, zeros]))
    draws = np.concatenate([first, second]).ravel()
    assert len(np.unique(draws)) == len(draws)
    assert layer.compute_output_shape([(200, 3), (200, 3)]) == (200, 3)
    again = GaussianSampling.from_config(layer.get_config())
    np.testing.assert_array_equal(to_numpy(again([zeros, zeros])), first)


@pytest.mark.parametrize("latent_dim", [None, 0, -1])
def test_features_need_a_latent_dim(latent_dim):
    with pytest.raises(UsageError, match="latent_dim"):
        kelbo.GaussianPosterior(mlp_encoder(SHAPE, (5,)), latent_dim)


def test_two_outputs_settle_the_latent_dim():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    network = keras.Model(x, [layers.Dense(3)(h), layers.Dense(3)(h)])
    assert kelbo.GaussianPosterior(network).event_shape == (3,)
    assert kelbo.GaussianPosterior(network, 3).event_shape == (3,)
    with pytest.raises(UsageError, match="size 3, but latent_dim=4"):
        kelbo.GaussianPosterior(network, 4)


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_every_layer_is_built_with_the_model_so_that_keras_need_not_trace_it_in_each_fit(make):
    assert all(layer.built for layer in make()._flatten_layers())
