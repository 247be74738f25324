"""Recipe 8: a model with its own compute_loss, in keras.ops.

The way of Keras 3. The model's call returns the reconstruction, mu and log_var; compute_loss gets
them as y_pred and returns the total. Gradients stay Keras's business, so the same code runs on
TensorFlow, JAX and PyTorch.

Run: KERAS_BACKEND=jax python recipe.py [mnist.npz]
"""

import sys

import keras
import numpy as np
from keras import layers, ops

Z_DIM = 16

# In front of mean(1 + log_var - mu^2 - exp(log_var)). On MNIST it makes beta = 0.0049.
KL_FACTOR = -0.5e-4


class Sampling(layers.Layer):
    """Draws one z for each image: mu + sigma * noise."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # The state of the random numbers is a variable of the layer, as JAX needs it.
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mu, log_var = inputs
        noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
        return mu + ops.exp(log_var / 2) * noise


def build_encoder():
    """Image -> mu, log_var, z."""
    images = keras.Input(shape=(28, 28, 1))
    x = layers.Conv2D(32, 3, padding="same", name="enc_conv_1")(images)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", name="enc_conv_2")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", name="enc_conv_3")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Flatten()(x)
    # No activation: both may be any real number.
    mu = layers.Dense(Z_DIM, name="mu")(x)
    log_var = layers.Dense(Z_DIM, name="log_var")(x)
    z = Sampling(name="enc_out_z")([mu, log_var])
    return keras.Model(images, [mu, log_var, z], name="encoder")


def build_decoder():
    """z -> image."""
    z = keras.Input(shape=(Z_DIM,))
    x = layers.Dense(7 * 7 * 128, name="dec_dense")(z)
    x = layers.Reshape((7, 7, 128))(x)
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", name="dec_conv_3")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", name="dec_conv_2")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2DTranspose(1, 3, padding="same", name="dec_conv_1")(x)
    x = layers.LeakyReLU()(x)
    return keras.Model(z, layers.Activation("sigmoid")(x), name="decoder")


class VAE(keras.Model):
    """A VAE that computes its losses itself and leaves the gradients to Keras."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.reco_loss_tracker = keras.metrics.Mean(name="reco_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    def call(self, images):
        mu, log_var, z = self.encoder(images)
        return self.decoder(z), mu, log_var

    def terms(self, y, y_pred):
        """Reconstruction and KL loss of one batch."""
        reconstruction, mu, log_var = y_pred
        reco_loss = ops.mean(keras.losses.binary_crossentropy(y, reconstruction))
        kl_loss = KL_FACTOR * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
        return reco_loss, kl_loss

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        reco_loss, kl_loss = self.terms(y, y_pred)
        return reco_loss + kl_loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        # Not in compute_loss: Keras 3.0 on JAX cannot update metrics there.
        reco_loss, kl_loss = self.terms(y, y_pred)
        self.reco_loss_tracker.update_state(reco_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return self.get_metrics_result()


def build(optimizer):
    """Encoder, decoder, and the compiled VAE that joins them."""
    encoder = build_encoder()
    decoder = build_decoder()
    vae = VAE(encoder, decoder, name="vae")
    vae.compile(optimizer=optimizer)
    return encoder, decoder, vae


def train(vae, images, epochs=3, batch_size=128):
    """Fit on images (n, 28, 28, 1) in [0, 1] and return Keras's History."""
    return vae.fit(images, images, epochs=epochs, batch_size=batch_size)


def main():
    """Train on MNIST and print the losses of every epoch."""
    if len(sys.argv) > 1:
        digits = np.load(sys.argv[1])["x_train"]
    else:
        (digits, _), _ = keras.datasets.mnist.load_data()
    images = (digits / 255.0).astype("float32").reshape(-1, 28, 28, 1)

    encoder, decoder, vae = build("adam")
    history = train(vae, images)
    for name, values in history.history.items():
        print(name, values)


if __name__ == "__main__":
    main()
