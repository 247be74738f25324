"""A user's own pair of keras models: what is taken, and what is refused with a cure."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.errors import UsageError
from tests.support import LATENT, SHAPE, data, tiny_vae, to_numpy


def sequential(*stack):
    return keras.Sequential(list(stack))


def dense_encoder():
    return sequential(keras.Input(SHAPE), layers.Flatten(), layers.Dense(4, "relu"))


def feature_map_encoder():
    return sequential(keras.Input(SHAPE), layers.Conv2D(4, 3, padding="same"))


def two_output_encoder():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(LATENT, name=name)(h) for name in ("own_mu", "own_lv")])


def sequential_decoder():
    return sequential(keras.Input((LATENT,)), layers.Dense(6), layers.Reshape(SHAPE))


def functional_decoder():
    z = keras.Input((LATENT,))
    return keras.Model(z, layers.Reshape(SHAPE)(layers.Dense(6)(z)))


@pytest.mark.parametrize(
    ("encoder", "latent_dim"),
    [(dense_encoder, LATENT), (feature_map_encoder, LATENT), (two_output_encoder, None)],
    ids=["sequential", "feature-map", "two-outputs"],
)
@pytest.mark.parametrize("decoder", [sequential_decoder, functional_decoder])
def test_a_user_s_own_pair_is_a_vae(encoder, latent_dim, decoder):
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(encoder(), latent_dim), kelbo.BernoulliLikelihood(decoder()), seed=0
    )
    x = data(5)
    assert vae.latent_dim == LATENT
    assert vae(x)["z"].shape == (5, LATENT)
    np.testing.assert_allclose(
        vae.reconstruct(x), vae.decode(vae.encode(x)["mu"]), rtol=1e-5, atol=1e-6
    )
    own_layers = {weight.path for weight in (*vae.encoder.weights, *vae.decoder.weights)}
    assert {weight.path for weight in vae.trainable_weights} <= own_layers


def test_a_user_s_own_mu_and_log_var_are_the_posterior_s():
    network = two_output_encoder()
    posterior = kelbo.GaussianPosterior(network)
    mu, log_var = network(data(4))
    parameters = posterior(data(4))
    assert posterior.count_params() == network.count_params()
    np.testing.assert_allclose(to_numpy(parameters["mu"]), to_numpy(mu))
    np.testing.assert_allclose(to_numpy(parameters["log_var"]), to_numpy(log_var))


@pytest.mark.parametrize("sample_shape", [(3,), (3, 2)], ids=str)
def test_sample_axes_are_folded_so_that_each_sample_is_computed_as_if_alone(sample_shape):
    likelihood = tiny_vae("gaussian-per-pixel").likelihood
    z = np.random.default_rng(0).standard_normal((*sample_shape, 4, LATENT)).astype("float32")
    together = likelihood(z)
    for name, shape in (("mu", SHAPE), ("log_var", SHAPE)):
        assert together[name].shape == (*sample_shape, 4, *shape)
        for index in np.ndindex(sample_shape):
            np.testing.assert_allclose(
                to_numpy(together[name])[index], to_numpy(likelihood(z[index])[name]), atol=1e-6
            )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.dense = layers.Dense(4)

    def call(self, x):
        return self.dense(ops.reshape(x, (-1, 6)))


def wrapped_subclassed():
    x = keras.Input(SHAPE)
    return keras.Model(x, Subclassed()(x))


def dict_output():
    x = keras.Input(SHAPE)
    return keras.Model(x, {"mu": layers.Flatten()(x)})


def three_outputs():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(LATENT)(h) for _ in range(3)])


def unequal_outputs():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(size)(h) for size in (2, 3)])


def unknown_size():
    x = keras.Input((None, 2, 1))
    return keras.Model(x, layers.Conv2D(2, 1)(x))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: "conv", "expected a keras.Model as network, received 'conv'"),
        (lambda: keras.Sequential([layers.Dense(4)]), "Give a Sequential an Input layer"),
        (Subclassed, r"'subclassed' has no inputs.*keras.Model\(inputs, model\(inputs\)\)"),
        (dict_output, "returns a dict"),
        (unknown_size, r"shapes are fixed.*\(None, None, 2, 1\)"),
        (three_outputs, r"\[\(2,\), \(2,\), \(2,\)\]. z itself is not wanted"),
        (unequal_outputs, r"\[\(2,\), \(3,\)\]"),
    ],
)
def test_an_encoder_that_is_none_is_refused_with_the_reason(network, message):
    with pytest.raises(UsageError, match=message):
        kelbo.GaussianPosterior(network(), latent_dim=LATENT)


def test_a_subclassed_model_works_wrapped_as_the_error_says():
    posterior = kelbo.GaussianPosterior(wrapped_subclassed(), LATENT)
    assert posterior(data(3))["mu"].shape == (3, LATENT)
