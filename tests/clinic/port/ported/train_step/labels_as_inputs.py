"""A call that returns the reconstruction alone, which predict uses; data of two parts."""

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

    def call(self, inputs):
        x, c = inputs
        mu, log_var, z = self.encoder([x, c])
        reconstruction = self.decoder([z, c])
        return reconstruction, mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        x, c = x
        reconstruction, mu, log_var = y_pred
        reco = ops.mean(ops.sum(ops.square(x - reconstruction), axis=-1))
        kl = -0.5 * ops.mean(ops.sum(1 + log_var - mu**2 - ops.exp(log_var), -1))
        loss = 0.5 * reco + kl
        return loss

    def predict(self, *args, **kwargs):
        # The reconstruction alone, as before.
        return super().predict(*args, **kwargs)[0]


images = np.random.RandomState(0).rand(16, 16).astype("float32")
labels = np.eye(3, dtype="float32")[np.arange(16) % 3]
vae = CVAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.SGD(0.1))
history = vae.fit([images, labels], epochs=2, batch_size=16, shuffle=False, verbose=0)
predicted = vae.predict([images, labels], verbose=0)
