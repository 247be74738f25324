"""A number for the size of the batch is reported unless the script holds all batches to it."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
import tensorflow as tf
from keras import backend as K

{before}

def sampling(args):
    mu, log_var = args
    return mu + tf.exp(log_var / 2) * {noise}

z = keras.layers.Lambda(sampling)([keras.Input((2,)), keras.Input((2,))])
"""
NOISE = "K.random_normal(shape=(100, 2), mean=0., stddev=1.)"


def codes(noise=NOISE, before=""):
    source = read_script("script.py", SCRIPT.format(noise=noise, before=before).encode())
    return [finding.rule.code for finding in examine(source, select(["KLB31"]))]


@pytest.mark.parametrize(
    "noise",
    [
        NOISE,
        "tf.random.normal([128, latent_dim])",
        "tf.random.normal((64, 2)) * 0.1",
        "tf.cast(keras.random.normal((64, 2)), 'float32')",
    ],
)
def test_a_number_for_the_batch_is_reported(noise):
    assert codes(noise) == ["KLB314"]


@pytest.mark.parametrize(
    "noise",
    [
        "K.random_normal(shape=(K.shape(mu)[0], 2))",
        "K.random_normal(shape=K.shape(mu))",
        "tf.random.normal((mu.shape[0], 2))",
        "tf.random.normal((batch_size, 2))",
        "tf.random.normal((10, tf.shape(mu)[0], 2))",
        "tf.random.uniform((128, 2))",
    ],
)
def test_other_shapes_are_not(noise):
    assert codes(noise) == []


@pytest.mark.parametrize(
    "before",
    [
        "image = keras.Input(batch_shape=(100, 4))",
        "image = keras.Input((4,), batch_size=100)",
        "model = keras.Sequential([keras.layers.Dense(4, batch_input_shape=(100, 4))])",
        "data = data.batch(100, drop_remainder=True)",
        "data = data.batch(100, True)",
        "data = data.padded_batch(100, (4,), 0.0, True)",
        "data = data.padded_batch(100, drop_remainder=True)",
    ],
)
def test_a_script_that_has_one_size_may_write_it_down(before):
    assert codes(before=before) == []


@pytest.mark.parametrize(
    "before",
    [
        "image = keras.Input(batch_shape=(None, 4))",
        "image = keras.Input((4,), batch_size=None)",
        "model = keras.Sequential([keras.layers.Dense(4, batch_input_shape=(None, 4))])",
    ],
)
def test_none_is_no_size(before):
    assert codes(before=before) == ["KLB314"]


@pytest.mark.parametrize(
    "before",
    ["data = data.batch(100, False)", "data = data.batch(100)", "data = data.shuffle(100, True)"],
)
def test_a_script_that_keeps_the_last_batch_may_not(before):
    assert codes(before=before) == ["KLB314"]
