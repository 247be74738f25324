"""What the networks add to the loss is in it, on every path, and is no part of the ELBO."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from tests import kinds
from tests.support import data, to_numpy, weights

FEATURES, LATENT = 8, 2
X = data(12, (FEATURES,))


@keras.saving.register_keras_serializable("kelbo-tests")
class AddsLoss(layers.Layer):
    """Adds a vector of losses, one a datum, which Keras sums."""

    def call(self, inputs):
        self.add_loss(0.01 * ops.sum(ops.square(inputs), axis=-1))
        return inputs


class PriorOfThePosterior(kinds.VampPrior):
    """q(z|u) of one learned pseudo-input u."""

    def build(self, latent_shape):
        self.u = self.add_weight(shape=(1, FEATURES), initializer="random_normal", name="u")
        kelbo.Prior.build(self, latent_shape)


def vae(prior=None, **kwargs):
    encoder = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(6, "tanh", kernel_regularizer=keras.regularizers.L2(0.1)),
            layers.Dense(5, activity_regularizer=keras.regularizers.L2(0.01)),
        ]
    )
    decoder = keras.Sequential([keras.Input((LATENT,)), AddsLoss(), layers.Dense(FEATURES)])
    posterior = kelbo.GaussianPosterior(encoder, latent_dim=LATENT)
    return kelbo.VAE(posterior, kelbo.GaussianLikelihood(decoder), prior, seed=0, **kwargs)


def by_hand(model, x, z):
    """The penalty of a batch whose draws are z."""
    kernel = to_numpy(model.posterior.network.layers[0].kernel)
    features = to_numpy(model.posterior.network(x))
    activity = 0.01 * np.sum(features**2) / len(x)  # Keras divides it by the batch
    return 0.1 * np.sum(kernel**2) + activity + 0.01 * np.sum(z**2)


@pytest.mark.parametrize("path", ["train_on_batch", "test_on_batch", "fit", "evaluate"])
def test_is_in_the_loss_and_logged_beside_the_elbo(fixed_noise, path):
    model = vae()
    model.compile(keras.optimizers.SGD(0.0))
    expected = by_hand(model, X, to_numpy(model(X)["z"]))
    arguments = {"batch_size": 12, "verbose": 0}
    if path == "fit":
        history = model.fit(X, shuffle=False, **arguments).history
        logs = {name: values[0] for name, values in history.items()}
    elif path == "evaluate":
        logs = model.evaluate(X, return_dict=True, **arguments)
    else:
        logs = getattr(model, path)(X, return_dict=True)
    assert logs["penalty"] == pytest.approx(expected, rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["penalty"] - logs["elbo"], rel=1e-5)
    assert logs["elbo"] == pytest.approx(logs["reconstruction"] - logs["kl"], rel=1e-5)
    assert model.effective_beta == 1.0


def test_is_not_scaled_by_sample_weights(fixed_noise):
    model = vae()
    model.compile("sgd")
    logs = model.test_on_batch(X, sample_weight=np.zeros(12), return_dict=True)
    assert logs["loss"] == pytest.approx(logs["penalty"], rel=1e-6)
    assert logs["penalty"] > 0


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a scan of JAX")
def test_trains_alike_on_the_device(fixed_noise):
    trained = []
    for resident in (True, False):
        keras.utils.set_random_seed(1)
        model = vae()
        model.compile(keras.optimizers.SGD(0.01))
        fit = {"batch_size": 4, "shuffle": False, "epochs": 2, "verbose": 0}
        history = model.fit(X, resident=resident, **fit).history
        trained.append((history["penalty"], weights(model)))
    np.testing.assert_allclose(trained[0][0], trained[1][0], rtol=1e-4)
    for one, other in zip(trained[0][1], trained[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_without_one_nothing_is_logged_of_it():
    plain = kelbo.presets.vae((FEATURES,), latent_dim=2, network="mlp")
    plain.compile("sgd")
    assert "penalty" not in plain.fit(X, verbose=0).history


def test_is_no_part_of_the_bound():
    model, free = vae(), vae()
    free.set_weights([to_numpy(weight).astype(weight.dtype) for weight in model.weights])
    free.posterior.network.layers[0].kernel_regularizer = None
    bounds = [each.log_likelihood(X, 20) for each in (model, free)]
    np.testing.assert_array_equal(*bounds)


@pytest.mark.parametrize("path", ["train_on_batch", "test_on_batch"])
def test_a_network_that_is_called_twice_adds_twice(fixed_noise, path):
    """A prior that is made of the posterior calls the encoder again, with data of its own."""
    model = vae(PriorOfThePosterior())
    model.compile(keras.optimizers.SGD(0.0))
    u = to_numpy(model.prior.u)
    again = 0.01 * np.sum(to_numpy(model.posterior.network(u)) ** 2)
    expected = by_hand(model, X, to_numpy(model(X)["z"])) + again
    for _ in range(2):  # nothing is left from the step before
        logs = getattr(model, path)(X, return_dict=True)
        assert logs["penalty"] == pytest.approx(expected, rel=1e-5)
        model.reset_metrics()
