"""What NumPy draws in a step is one draw for ever only where the step is surely compiled."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf

class Sampling(keras.layers.Layer):
    def call(self, inputs, noise=None):
        mu, log_var = inputs
        noise = {noise}
        return mu + tf.exp(0.5 * log_var) * noise

encoder = keras.Sequential([keras.layers.Dense(2)])
vae = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(2)])
{training}
"""
FIT = "vae.compile(loss='mse'); vae.fit(x, x)"


def is_stale(noise, training=FIT):
    source = read_script("script.py", SCRIPT.format(noise=noise, training=training).encode())
    return bool(examine(source, select(["KLB311"])))


@pytest.mark.parametrize(
    "noise",
    [
        "np.random.normal(size=(8, 2))",
        "np.random.randn(2)",
        "np.random.default_rng(1).standard_normal(2).astype('float32')",
        "np.random.RandomState(1).normal(0, 1, (8, 2))",
        "tf.constant(np.random.normal(0.0, 1.0, (8, 2)), dtype='float32')",
        "keras.random.normal(tf.shape(mu), seed=7)",
        "keras.random.normal(tf.shape(mu), 0.0, 1.0, 'float32', 7)",
        "tf.random.normal((1, latent_dim))",
        "tf.random.normal([])",
        "keras.random.normal(())",
    ],
)
def test_a_draw_that_every_step_repeats_is_found(noise):
    assert is_stale(noise)


@pytest.mark.parametrize(
    "noise",
    [
        "keras.random.normal(tf.shape(mu), seed=self.generator)",
        "keras.random.normal(tf.shape(mu))",
        "tf.random.normal(tf.shape(mu), seed=7)",
        "tf.random.normal((5, tf.shape(mu)[0], 2))",
    ],
)
def test_a_fresh_draw_is_not(noise):
    assert not is_stale(noise)


@pytest.mark.parametrize(
    "training",
    [
        "vae.compile(loss='mse', run_eagerly=True); vae.fit(x, x)",
        f"tf.config.run_functions_eagerly(True); {FIT}",
        f"os.environ['KERAS_BACKEND'] = 'torch'; {FIT}",
        f"{FIT}\nwith tf.GradientTape() as tape: loss = vae(x)",
        "",
    ],
)
def test_nothing_is_said_of_numpy_in_steps_that_may_run_eagerly(training):
    assert not is_stale("np.random.randn(2)", training)


def test_noise_that_a_loop_hands_on_is_fresh():
    loop = "for batch in x:\n    Sampling()([batch, batch], np.random.randn(8, 2))"
    assert not is_stale("noise", loop)
    assert is_stale("frozen", f"frozen = np.random.randn(8, 2)\n{FIT}")


LATENTS = """
import keras
import tensorflow as tf

class Sampling(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        return mu + tf.exp(0.5 * log_var) * tf.random.normal((tf.shape(mu)[0], 1))

mu = keras.layers.Dense({latents})(keras.Input((4,)))
z = Sampling()([mu, mu])
"""


def test_one_number_for_all_latent_dimensions_is_found_where_there_are_several():
    def found(latents):
        script = LATENTS.format(latents=latents).encode()
        return [f.happens for f in examine(read_script("script.py", script), select(["KLB311"]))]

    assert found(3) == [
        "The noise has the shape (tf.shape(mu)[0], 1): all 3 latent dimensions of a sample get the "
        "same number."
    ]
    assert not found(1)
    assert not found("latent_dim")


def test_a_function_of_one_sample_needs_no_batch():
    noise = "0.0\n        z = {map}(lambda m: m + tf.exp(m) * tf.random.normal((2,)), mu)"
    assert is_stale(noise.format(map="apply"))
    assert not is_stale(noise.format(map="tf.map_fn"))
