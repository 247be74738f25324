"""mu without noise is found in every form of a loss, and nothing where noise may be."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

HEAD = """
import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from keras import layers, ops
from elsewhere import Sample, sample

x_train = np.random.rand(8, 4)
def kl_of(mu, log_var):
    return -0.5 * ops.mean(ops.sum(1 + log_var - mu**2 - ops.exp(log_var), axis=-1))

class Sampling(layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        return {sampled}

image, label = keras.Input((4,)), keras.Input((3,))
mu, log_var = layers.Dense(2)(image), layers.Dense(2)(image)
code = keras.Input((2,))
decoder = keras.Model(code, layers.Dense(4)(layers.Dense(8, activation="relu")(code)))
"""
FUNCTIONAL = """
z = {z}
output = {output}
vae = keras.Model(image, output)
def loss(x, y):
    return keras.losses.binary_crossentropy(x, y) + kl_of(mu, log_var)
vae.compile("adam", loss)
"""
ADDED = """
z = {z}
output = {output}
vae = keras.Model(image, output)
vae.add_loss(ops.mean(keras.losses.mse(image, output)) + kl_of(mu, log_var))
vae.compile("adam")
"""
SUBCLASSED = """
encoder = keras.Model(image, [mu, log_var, {z}])
class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
    def train_step(self, data):
        with tf.GradientTape() as tape:
            mu, log_var, z = self.encoder(data)
            output = {output}
            loss = tf.reduce_mean(keras.losses.mse(data, output)) + kl_of(mu, log_var)
        tape.gradient(loss, self.trainable_weights)
VAE().compile("adam")
"""
COMPUTED = """
class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.mean, self.spread, self.decoder = layers.Dense(2), layers.Dense(2), layers.Dense(4)
    def call(self, x{training}):
        mu, log_var = self.mean(x), self.spread(x)
        z = {z}
        return {{"x": self.decoder(z), "mu": mu, "log_var": log_var}}
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        rec = ops.mean(keras.losses.mse(x, y_pred["x"]))
        return rec + kl_of(y_pred["mu"], y_pred["log_var"])
VAE().compile("adam")
"""
DRAWN = "mu + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mu))"


def found(script, **parts):
    parts = {"sampled": "mu", "output": "decoder(z)", "training": "", **parts}
    source = read_script("script.py", (HEAD + script).format(**parts).encode())
    return [finding.happens for finding in examine(source, select(["KLB206"]))]


@pytest.mark.once
@pytest.mark.parametrize(
    ("script", "parts"),
    [
        (FUNCTIONAL, {"z": "mu"}),
        (FUNCTIONAL, {"z": "mu", "output": "layers.Dense(4)(layers.Reshape((2,))(z))"}),
        (FUNCTIONAL, {"z": "layers.Concatenate()([mu, label])"}),
        (FUNCTIONAL, {"z": "Sampling()([mu, log_var])"}),
        (FUNCTIONAL, {"z": "layers.Lambda(lambda t: t[0])([mu, log_var])"}),
        (FUNCTIONAL, {"z": "mu", "output": "keras.Sequential([layers.Dense(4)])(z)"}),
        (ADDED, {"z": "mu"}),
        (SUBCLASSED, {"z": "mu"}),
        (SUBCLASSED, {"z": "mu", "output": "self.decoder(mu)"}),
        (COMPUTED, {"z": "mu"}),
    ],
)
def test_mu_without_noise_is_found(script, parts):
    assert len(found(script, **parts)) == 1


@pytest.mark.once
@pytest.mark.parametrize("script", [FUNCTIONAL, ADDED, SUBCLASSED])
@pytest.mark.parametrize(
    "parts",
    [
        {"z": "Sampling()([mu, log_var])", "sampled": DRAWN},
        {"z": "layers.Lambda(lambda t: t + tf.random.normal((2,)))(mu)"},
        {"z": "layers.Lambda(sample)([mu, log_var])"},
        {"z": "layers.GaussianNoise(0.1)(mu)"},
        {"z": "Sample()([mu, log_var])"},
        {"z": "sample(mu, log_var)"},
        {"z": "layers.Concatenate()([mu, sample(mu, log_var)])"},
        {"z": "tfp.distributions.Normal(mu, ops.exp(0.5 * log_var)).sample()"},
        {"z": "tf.random.normal((8, 2), mu, ops.exp(0.5 * log_var))"},
        {"z": "mu + 0.1 * log_var"},
        {"z": "mu if mode else sample(mu, log_var)"},
        {"z": "keras.Sequential([Sample(), layers.Dense(2)])(mu)"},
        {"z": "sample(mu, log_var)", "output": "decoder(mu) if mode else decoder(z)"},
        {"z": "sample(mu, log_var)", "output": "decoder(mu)"},
    ],
)
def test_where_noise_may_be_nothing_is_said(script, parts):
    assert not found(script, **parts)


@pytest.mark.once
@pytest.mark.parametrize(
    ("z", "training"),
    [
        (DRAWN, ""),
        (f"{DRAWN} if training else mu", ", training=None"),
        ("sample(mu, log_var) if training else mu", ", training=False"),
        ("sample(mu, log_var) if self.trains else mu", ""),
    ],
)
def test_noise_of_training_alone_is_noise(z, training):
    assert not found(COMPUTED, z=z, training=training)
