"""Keras's own fit of a functional model of stock layers."""

import math
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
from keras import layers, ops

from benchmarks.speed.contestants import Gate
from benchmarks.speed.contestants.kelbo_fit import epochs_of
from benchmarks.speed.work import FILTERS, SLOPE, STRIDES, Work


class Sampling(layers.Layer):
    """z from [mu, log_var]; adds the mean KL over the batch to the loss."""

    def __init__(self):
        super().__init__(dtype="float32")
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mu, log_var = inputs
        kl = 0.5 * ops.sum(ops.exp(log_var) + ops.square(mu) - 1.0 - log_var, axis=-1)
        self.add_loss(ops.mean(kl))
        epsilon = keras.random.normal(ops.shape(mu), dtype="float32", seed=self.seed_generator)
        return mu + ops.exp(0.5 * log_var) * epsilon


class KerasFit:
    """`keras.Model.fit`."""

    def __init__(self, work: Work, weights: dict[str, Any], device: str):
        self.work = work
        encoder, decoder = stock_networks(work, weights)
        self.model = keras.Model(encoder.input, decoder(Sampling()(encoder.output)))
        # Keras's binary cross-entropy is a mean over pixels; the VAE's is a sum.
        pixels = math.prod(work.shape)
        cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.model.compile("adam", loss=lambda y, logits: pixels * cross_entropy(y, logits))

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """`compute_loss` of the model's output."""
        x, epsilon = ops.convert_to_tensor(x), ops.convert_to_tensor(epsilon[0])
        with patch.object(keras.random, "normal", lambda *args, **kwargs: epsilon):
            return float(self.model.compute_loss(x, x, self.model(x)))

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train."""
        self.model.fit(
            x,
            x,
            batch_size=self.work.batch_size,
            epochs=gate.epochs,
            verbose=0,
            callbacks=[epochs_of(gate)],
        )


def stock_networks(work: Work, weights: dict[str, Any]) -> tuple[keras.Model, keras.Model]:
    """The article's encoder to [mu, log_var] and its decoder to logits, of Keras's own layers."""
    policy = "mixed_bfloat16" if work.precision == "bfloat16" else "float32"
    with_policy = {"dtype": policy}
    inputs = x = keras.Input(work.shape)
    for i, (channels, stride) in enumerate(zip(FILTERS, STRIDES, strict=True), start=1):
        name = f"enc_conv_{i}"
        x = layers.Conv2D(channels, 3, stride, padding="same", name=name, **with_policy)(x)
        x = layers.LeakyReLU(SLOPE, **with_policy)(x)
    x = layers.Flatten(**with_policy)(x)
    heads = [layers.Dense(work.latent_dim, name=n, dtype="float32")(x) for n in ("mu", "log_var")]
    encoder = keras.Model(inputs, heads)

    inputs = keras.Input((work.latent_dim,))
    shape = work.small_side, work.small_side, FILTERS[-1]
    x = layers.Dense(math.prod(shape), name="dec_dense", **with_policy)(inputs)
    x = layers.Reshape(shape, **with_policy)(x)
    for i in range(len(FILTERS), 0, -1):
        channels = (work.channels, *FILTERS)[i - 1]
        x = layers.Conv2DTranspose(
            channels, 3, STRIDES[i - 1], padding="same", name=f"dec_conv_{i}", **with_policy
        )(x)
        x = layers.LeakyReLU(SLOPE, **with_policy)(x)
    decoder = keras.Model(inputs, layers.Activation("linear", dtype="float32")(x))

    for name, values in weights.items():
        (decoder if name.startswith("dec") else encoder).get_layer(name).set_weights(values)
    return encoder, decoder
