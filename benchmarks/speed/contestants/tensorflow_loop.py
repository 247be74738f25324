"""TensorFlow's own way: Keras layers, tf.data, and a loop over a train step in tf.function."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed.contestants import Gate
from benchmarks.speed.contestants.keras_fit import stock_networks
from benchmarks.speed.work import Work


class TensorFlowLoop:
    """A GradientTape in a tf.function, called for every batch."""

    xla = False

    def __init__(self, work: Work, weights: dict[str, Any], device: str):
        tf.random.set_seed(0)
        self.work = work
        self.encoder, self.decoder = stock_networks(work, weights)
        self.weights = self.encoder.trainable_weights + self.decoder.trainable_weights
        self.optimizer = keras.optimizers.Adam()
        self.optimizer.build(self.weights)
        self.step = tf.function(self._step, jit_compile=self.xla)

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """The loss that `train` minimises."""
        return float(self._loss(tf.constant(x), tf.constant(epsilon)))

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train."""
        batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(self.work.batch_size)
        batches = batches.prefetch(tf.data.AUTOTUNE)
        for _ in range(gate.epochs):
            gate.begin()
            losses = [self.step(batch) for batch in batches]
            gate.end(float(tf.reduce_mean(losses)))

    def _step(self, x: tf.Tensor) -> tf.Tensor:
        shape = self.work.importance_samples, tf.shape(x)[0], self.work.latent_dim
        with tf.GradientTape() as tape:
            loss = self._loss(x, tf.random.normal(shape))
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.weights), self.weights, strict=True)
        )
        return loss

    def _loss(self, x: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
        mu, log_var = self.encoder(x, training=True)
        z = mu + tf.exp(0.5 * log_var) * epsilon
        logits = self.decoder(tf.reshape(z, (-1, self.work.latent_dim)), training=True)
        if self.work.importance_samples == 1:
            log_px_z = -tf.reduce_sum(
                tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=(1, 2, 3)
            )
            kl = 0.5 * tf.reduce_sum(tf.exp(log_var) + mu**2 - 1.0 - log_var, axis=-1)
            return tf.reduce_mean(kl - log_px_z)
        logits = tf.reshape(logits, (self.work.importance_samples, *tf.unstack(tf.shape(x))))
        x = tf.broadcast_to(x, tf.shape(logits))
        log_px_z = -tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=(2, 3, 4)
        )
        # log p(z) - log q(z|x); the constants of the two cancel.
        log_ratio = 0.5 * tf.reduce_sum(epsilon**2 + log_var - z**2, axis=-1)
        bound = tf.reduce_logsumexp(log_px_z + log_ratio, axis=0)
        return tf.reduce_mean(tf.math.log(float(self.work.importance_samples)) - bound)


class TensorFlowXLALoop(TensorFlowLoop):
    """The same, compiled by XLA."""

    xla = True
