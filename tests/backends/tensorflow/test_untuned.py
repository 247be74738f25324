"""No data set of a kelbo model is watched by tf.data's autotuner, unless it was asked for."""

import keras
import numpy as np
import pytest

from kelbo.data import from_arrays
from tests.support import data, tiny_vae

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data")


@pytest.fixture
def tuned(monkeypatch):
    """Whether each data set that was iterated asks for the autotuner: None is TensorFlow's yes."""
    import tensorflow as tf

    seen = []
    iterate = tf.data.Dataset.__iter__

    def watched(dataset):
        seen.append(dataset.options().autotune.enabled)
        return iterate(dataset)

    for kind in (tf.data.Dataset, *subclasses(tf.data.Dataset)):
        if "__iter__" in vars(kind):
            monkeypatch.setattr(kind, "__iter__", watched)
    return seen


def subclasses(kind):
    return [each for one in kind.__subclasses__() for each in (one, *subclasses(one))]


@pytest.fixture(name="vae")
def compiled_vae():
    vae = tiny_vae()
    vae.compile("adam")
    return vae


def test_nothing_waits_for_the_autotuner(vae, tuned):
    x = data(12)
    vae.fit(x, batch_size=4, epochs=2, validation_data=(x,), verbose=0)
    vae.evaluate(x, batch_size=4, verbose=0)
    vae.predict(x, batch_size=4, verbose=0)
    vae.fit(from_arrays(np.round(x)).batches("train", 4), epochs=1, verbose=0)
    assert len(tuned) >= 2 * 2 + 1 + 1 + 1
    assert set(tuned) == {False}


def test_who_asks_for_the_autotuner_has_it(vae, tuned):
    import tensorflow as tf

    dataset, options = tf.data.Dataset.from_tensor_slices(data(8)).batch(4), tf.data.Options()
    options.autotune.enabled = True
    vae.fit(dataset.with_options(options), shuffle=False, verbose=0)
    vae.fit(dataset, shuffle=False, verbose=0)
    assert {True, False} <= set(tuned)


def test_a_strategy_of_the_user_s_own_is_left_alone():
    import tensorflow as tf

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        vae = tiny_vae()
    assert vae.distribute_strategy is strategy
    assert tiny_vae().distribute_strategy.num_replicas_in_sync == 1
