"""Two devices on JAX; run by test_shared_batches.py in a process that has them."""

import contextlib

import keras
import numpy as np
import pytest

from kelbo.errors import DataError
from tests.backends.jax.support import Own, assert_same
from tests.support import LATENT, data, randomise, tiny_vae, weights

TWO = keras.distribution.DataParallel()
X = data(16)


def trained(scope):
    with scope:
        keras.utils.set_random_seed(5)
        vae = tiny_vae()
        randomise(vae)
        vae.compile("adam")
        weight = np.linspace(0.0, 3.0, 16, dtype="float32")
        history = vae.fit(
            X, batch_size=8, epochs=2, sample_weight=weight, validation_data=X[:4], verbose=0
        )
        logs = vae.evaluate(X, sample_weight=weight, verbose=0, return_dict=True)
        return vae, history, logs, vae.predict(X, verbose=0)


def test_two_devices_take_the_steps_of_one_noise_and_all():
    one, history, logs, predicted = trained(contextlib.nullcontext())
    two, both_history, both_logs, both_predicted = trained(TWO.scope())
    assert_same(two, one, both_history, history)
    assert both_logs == pytest.approx(logs, rel=1e-4)
    assert both_logs["loss"] == pytest.approx(-both_logs["elbo"], rel=1e-5)
    np.testing.assert_allclose(both_predicted, predicted, rtol=1e-4)


@pytest.fixture(scope="module", autouse=True)
def shared_by_two():
    with TWO.scope():
        yield


@pytest.fixture(scope="module")
def vae(shared_by_two):
    model = tiny_vae()
    model.compile("adam", steps_per_execution=2)
    model.fit(X, verbose=0)
    return model


def test_a_pass_takes_any_number(vae):
    assert vae.encode(X[:7])["mu"].shape == (7, LATENT)
    assert (
        len(vae.reconstruct(X[:7])) == len(vae.sample(7)) == len(vae.decode(np.zeros((7, 2)))) == 7
    )
    assert np.isfinite(vae.log_likelihood(X[:7], num_samples=3)).all()


# Own's batches are of 4, the last what is left.
REFUSED = {
    "fit": (
        lambda vae: vae.fit(X[:9], batch_size=4),
        "9 data in batches of 4, the last of 1.",
        "x[:8]",
    ),
    "one batch": (lambda vae: vae.fit(X[:9]), "9 data in batches of 9.", "x[:8]"),
    "size": (lambda vae: vae.fit(X[:9], batch_size=3), "9 data in batches of 3.", "batch_size"),
    "validation": (
        lambda vae: vae.fit(X, validation_data=(X[:3],), verbose=0),
        "3 data for validation in batches of 3.",
        "x[:2]",
    ),
    "split": (
        lambda vae: vae.fit(X[:15], validation_split=0.2, batch_size=4),
        "3 data for validation in batches of 3.",
        "x[:2]",
    ),
    "evaluate": (lambda vae: vae.evaluate(X[:1]), "1 data in batches of 1.", "at least 2 data"),
    "predict": (lambda vae: vae.predict(X[:7]), "7 data in batches of 7.", "x[:6]"),
    "train_on_batch": (lambda vae: vae.train_on_batch(X[:7]), "7 data in batches of 7.", "x[:6]"),
    "test_on_batch": (lambda vae: vae.test_on_batch(X[:7]), "7 data in batches of 7.", "x[:6]"),
    "data set": (lambda vae: vae.fit(Own(X[:3]), verbose=0), "a batch of 3.", "drop_remainder"),
    "later batch": (lambda vae: vae.fit(Own(X[:7]), verbose=0), "a batch of 3.", "drop_remainder"),
    "validation set": (
        lambda vae: vae.fit(X, validation_data=Own(X[:15]), verbose=0),
        "a batch of 3.",
        "drop_remainder",
    ),
    "evaluate set": (lambda vae: vae.evaluate(Own(X[:3]), verbose=0), "a batch of 3.", "drop"),
    "predict set": (lambda vae: vae.predict(Own(X[:15]), verbose=0), "a batch of 3.", "drop"),
}


@pytest.mark.parametrize(("call", "received", "cure"), REFUSED.values(), ids=REFUSED)
def test_a_batch_that_two_devices_cannot_share_is_refused_and_the_weights_stay(
    call, received, cure, vae
):
    with pytest.raises(DataError, match="a multiple of 2") as caught:
        call(vae)
    assert f"received {received}" in str(caught.value)
    assert cure in str(caught.value).split(received)[1]
    assert all(np.isfinite(weight).all() for weight in weights(vae))
    assert np.isfinite(vae.evaluate(X, verbose=0)).all()


def test_the_steps_before_such_a_batch_count(vae):
    before = int(vae.optimizer.iterations)
    with pytest.raises(DataError, match="received a batch of 1"):
        vae.fit(Own(X[:13]), shuffle=False, verbose=0)
    assert int(vae.optimizer.iterations) == before + 3
