"""Layers add one loss for each image, and the tape follows the sum over the batch."""

import numpy as np
import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="vae")
class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mu, log_var = inputs
        return mu + ops.exp(log_var / 2) * keras.random.normal(
            ops.shape(mu), dtype=self.compute_dtype, seed=self.seed_generator
        )


class Encoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.to_mu = layers.Dense(
            2,
        )
        self.to_log_var = layers.Dense(2)
        self.sampling = Sampling()

    def call(self, inputs):
        mu, log_var = self.to_mu(inputs), self.to_log_var(inputs)
        self.add_loss(-0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=1))
        return self.sampling([mu, log_var])


class VAE(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = Encoder()
        self.decoder = layers.Dense(16)
        self.error = keras.losses.MeanSquaredError()
        self.reco_tracker = keras.metrics.Mean(name="reco")
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs, training=None):
        z = self.encoder(inputs)
        return self.decoder(z)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        data = x
        reconstruction = y_pred
        reco = self.error(data, reconstruction)
        loss = reco + sum(self.losses)
        self.reco_tracker.update_state(reco)
        self.loss_tracker.update_state(ops.sum(loss))
        # A tape follows the gradient of the sum.
        return ops.sum(loss)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {
            "loss": self.loss_tracker.result(),
            "reco": self.reco_tracker.result(),
        }


images = np.random.RandomState(0).rand(16, 16).astype("float32")
vae = VAE()
vae.compile(optimizer=keras.optimizers.SGD(0.1))
history = vae.fit(images, epochs=2, batch_size=16, shuffle=False, verbose=0)
predicted = vae.predict(images, verbose=0)
