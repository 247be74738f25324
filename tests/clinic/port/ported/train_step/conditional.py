"""A conditional VAE: the labels come as y, and enter both networks."""

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


image = keras.Input(shape=(16,))
label = keras.Input(shape=(3,))
hidden = layers.Dense(8, activation="relu")(layers.concatenate([image, label]))
z_mean = layers.Dense(2)(hidden)
z_log_var = layers.Dense(2)(hidden)
encoder = keras.Model([image, label], [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
latent = keras.Input(shape=(2,))
condition = keras.Input(shape=(3,))
pixels = layers.Dense(16, activation="sigmoid")(layers.concatenate([latent, condition]))
decoder = keras.Model([latent, condition], pixels)


class CVAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.loss_tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, inputs):
        x, c = inputs
        mu, log_var, z = self.encoder([x, c])
        reconstruction = self.decoder([z, c])
        return reconstruction, mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        x, c = x
        reconstruction, mu, log_var = y_pred
        reconstruction_loss = 16 * keras.losses.binary_crossentropy(x, reconstruction)
        kl_loss = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
        loss = ops.mean(reconstruction_loss + kl_loss)
        self.loss_tracker.update_state(loss)
        return loss


images = np.random.RandomState(0).rand(16, 16).astype("float32")
labels = np.eye(3, dtype="float32")[np.arange(16) % 3]
vae = CVAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.SGD(0.1))
history = vae.fit(
    [images, labels],
    epochs=2,
    batch_size=8,
    shuffle=False,
    verbose=0,
    validation_data=([images[:8], labels[:8]],),
)
