"""Two replicas on one machine; run by test_replicas.py in a process of its own."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import kelbo
from kelbo.errors import DataError
from tests.backends.tensorflow.steps import CASES, assert_same, train
from tests.support import LATENT, SHAPE, data, tiny_vae, to_numpy

(CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
TWO = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
X = data(11)


@pytest.mark.usefixtures("no_noise")
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_take_the_steps_of_one_device(case):
    assert_same(train(case, TWO.scope()), train(case, contextlib.nullcontext()))


@pytest.fixture(scope="module")
def vae():
    with TWO.scope():
        model = tiny_vae()
        model.compile("adam")
    return model


def test_each_replica_draws_its_own_noise_anew(vae):
    @tf.function
    def draw():
        return TWO.run(lambda: vae(tf.constant(X))["z"])

    seen = [to_numpy(z) for _ in range(2) for z in TWO.experimental_local_results(draw())]
    assert len({z.tobytes() for z in seen}) == 4


def test_a_pass_is_one_pass_within_the_scope_too(vae):
    passes = {
        "encode": lambda: vae.encode(X)["mu"],
        "decode": lambda: vae.decode(np.zeros((11, LATENT))),
        "reconstruct": lambda: vae.reconstruct(X),
        "predict": lambda: vae.predict(X, batch_size=8, verbose=0),
        "predict_on_batch": lambda: vae.predict_on_batch(X),
        "sample": lambda: vae.sample(11, seed=1),
        "log_likelihood": lambda: vae.log_likelihood(X, num_samples=3),
    }
    outside = {name: one() for name, one in passes.items()}
    with TWO.scope():
        inside = {name: one() for name, one in passes.items()}
    for name, expected in outside.items():
        assert len(expected) == 11
        np.testing.assert_allclose(inside[name], expected, rtol=1e-5, err_msg=name)


def test_a_replica_without_data_does_not_spoil_a_batch_normalisation():
    with TWO.scope():
        encoder = keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.BatchNormalization()]
        )
        model = kelbo.VAE(kelbo.GaussianPosterior(encoder, LATENT), tiny_vae().likelihood)
        model.compile("adam")
    with pytest.raises(DataError, match=r"the last batch has 3\. .* as in x\[:8\]"):
        model.fit(X, batch_size=8, verbose=0)
    model.fit(X[:8], batch_size=8, verbose=0)
    assert np.isfinite(model.evaluate(X, batch_size=8, verbose=0)).all()


def test_a_batch_trains_as_in_keras(vae):
    loss, elbo, *_ = vae.train_on_batch(X)
    assert loss == pytest.approx(-elbo)
    # Of one datum the second replica has none.
    heard = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: heard.append(logs))
    history = vae.fit(X[:1], verbose=0, callbacks=[spy]).history
    assert heard[0] == pytest.approx({name: values[0] for name, values in history.items()})
