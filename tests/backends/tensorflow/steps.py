"""A few training steps without noise, of which the number of replicas changes nothing."""

import keras
import numpy as np

import kelbo
from tests.support import LATENT, SHAPE, data, randomise, tiny_vae, weights

SIZE = 8


def with_penalty():
    """A VAE with a warm-up, whose encoder adds a penalty of its weights to the loss."""
    encoder = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(5, "tanh", kernel_regularizer=keras.regularizers.L2(0.1)),
        ]
    )
    likelihood, objective = tiny_vae().likelihood, kelbo.ELBO(kelbo.LinearWarmup(4, 2.0))
    return kelbo.VAE(kelbo.GaussianPosterior(encoder, LATENT), likelihood, objective=objective)


def with_optimal_variance():
    """A VAE whose variance is that of the whole batch, and not of a replica's share."""
    parts = tiny_vae("gaussian")
    return kelbo.VAE(parts.posterior, kelbo.GaussianLikelihood(parts.likelihood.network, "optimal"))


# By the number of data: batches that share out unevenly, and with one replica left without any.
CASES = {
    "vae": (tiny_vae, 13, True),
    "penalty and warm-up": (with_penalty, 9, False),
    "optimal variance": (with_optimal_variance, 13, False),
}


def train(case, scope):
    """The weights, the History of two epochs, and an evaluation after them."""
    make, count, weighted = CASES[case]
    weight = np.linspace(0.0, 3.0, count, dtype="float32") if weighted else None
    with scope:
        model = make()
        randomise(model)
        model.compile(keras.optimizers.SGD(0.01))
    x = data(count)
    arguments = {"batch_size": SIZE, "sample_weight": weight, "verbose": 0}
    history = model.fit(x, epochs=2, shuffle=False, validation_data=x[:5], **arguments).history
    logs = model.evaluate(x, return_dict=True, **arguments)
    if case == "vae":
        for each in (history, logs):
            np.testing.assert_allclose(each["loss"], np.negative(each["elbo"]), rtol=1e-5)
    return weights(model), history, logs


def assert_same(one, other):
    """What two ways of training gave."""
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(one[1:], other[1:], strict=True):
        assert list(a) == list(b)
        for name, values in a.items():
            np.testing.assert_allclose(values, b[name], rtol=1e-5, err_msg=name)
