"""A mean squared error and no metrics of its own; layers that know of training."""

import numpy as np
import keras
from keras import layers, ops


class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8)
        self.norm = layers.BatchNormalization()
        self.to_mean = layers.Dense(2)
        self.to_log_var = layers.Dense(2)
        self.decoder = layers.Dense(16)
        self.mse_tracker = keras.metrics.Mean(name="mse")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x, training=None):
        hidden = ops.relu(self.norm(self.hidden(x, training=training), training=training))
        mu = self.to_mean(hidden, training=training)
        log_var = self.to_log_var(hidden, training=training)
        eps = keras.random.normal(ops.shape(mu), dtype="float32", seed=self.seed_generator)
        reconstruction = self.decoder(mu + ops.exp(log_var / 2) * eps, training=training)
        return reconstruction, mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        reconstruction, mu, log_var = y_pred
        mse = ops.mean(ops.square(y - reconstruction))
        kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
        loss = mse + 0.001 * kl
        self.mse_tracker.update_state(mse)
        self.kl_tracker.update_state(kl)
        return loss


images = np.random.RandomState(0).rand(16, 16).astype("float32")
vae = VAE()
vae.compile(keras.optimizers.SGD(0.1))
history = vae.fit(images, images, epochs=3, batch_size=16, shuffle=False, verbose=0)
