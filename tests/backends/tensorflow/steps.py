"""A few training steps without noise, of which the number of replicas changes nothing."""

import keras
import numpy as np

import kelbo
from tests.support import LATENT, SHAPE, data, randomise, tiny_ae, tiny_vae, weights

SIZE = 8


def with_penalty():
    """A VAE whose encoder adds its weights' penalty to the loss."""
    encoder = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(5, "tanh", kernel_regularizer=keras.regularizers.L2(0.1)),
        ]
    )
    return kelbo.VAE(kelbo.GaussianPosterior(encoder, LATENT), tiny_vae().likelihood, seed=0)


# How many data: batches that share out evenly, unevenly, and with one replica left without any.
CASES = {
    "ae": (tiny_ae, 16, False),
    "vae": (tiny_vae, 13, True),
    "penalty": (with_penalty, 9, False),
    "warm-up": (lambda: tiny_vae(objective=kelbo.ELBO(kelbo.LinearWarmup(4, 2.0))), 9, True),
    "iwae": (lambda: tiny_vae(objective=kelbo.IWAE(2)), 13, False),
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
    if case in ("vae", "penalty"):
        for each in (history, logs):
            loss = np.subtract(each.get("penalty", 0.0), each["elbo"])
            np.testing.assert_allclose(each["loss"], loss, rtol=1e-5)
    return weights(model), history, logs


def assert_same(one, other):
    """What two ways of training gave."""
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(one[1:], other[1:], strict=True):
        assert list(a) == list(b)
        for name, values in a.items():
            np.testing.assert_allclose(values, b[name], rtol=1e-5, err_msg=name)
