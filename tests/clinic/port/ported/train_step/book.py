"""In the manner of a book: call returns all, and a test_step returns plain numbers."""

import numpy as np
import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="vae")
class Sampling(layers.Layer):
    """Draws z for each image."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(
            shape=ops.shape(z_mean), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


image = keras.Input(shape=(4, 4, 1))
hidden = layers.Dense(8, activation="relu")(layers.Flatten()(image))
z_mean = layers.Dense(2, name="z_mean")(hidden)
z_log_var = layers.Dense(2, name="z_log_var")(hidden)
encoder = keras.Model(image, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])], name="encoder")
latent = keras.Input(shape=(2,))
pixels = layers.Dense(16, activation="sigmoid")(latent)
decoder = keras.Model(latent, layers.Reshape((4, 4, 1))(pixels), name="decoder")

BETA = 20


class VAE(keras.models.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super(VAE, self).__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def call(self, inputs):
        """Encode and decode."""
        z_mean, z_log_var, z = self.encoder(inputs)
        reconstruction = self.decoder(z)
        return z_mean, z_log_var, reconstruction

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        data = x
        z_mean, z_log_var, reconstruction = y_pred
        reconstruction_loss = ops.mean(
            BETA * keras.losses.binary_crossentropy(data, reconstruction, axis=(1, 2, 3))
        )
        kl_loss = ops.mean(
            ops.sum(
                -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var)), axis=1
            )
        )
        total_loss = reconstruction_loss + kl_loss
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return total_loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {
            **self.get_metrics_result(),
            "loss": self.total_loss_tracker.result(),
        }


images = np.random.RandomState(0).rand(16, 4, 4, 1).astype("float32")
vae = VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.SGD(0.1))
history = vae.fit(
    images,
    images,
    epochs=2,
    batch_size=16,
    shuffle=False,
    verbose=0,
    validation_data=(images[:8], images[:8]),
)
