"""Recipe 5: a model with its own train_step.

Taught by F. Chollet from 2020 on (keras.io, Deep Learning with Python, 2nd edition). The KL term is
computed inside the training step from what the encoder has just returned, under a GradientTape.
There is nothing in compile but the optimizer. fit calls train_step since TensorFlow 2.2.

Run: python recipe.py [mnist.npz]
"""

import sys

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

Z_DIM = 16

# In front of mean(1 + log_var - mu^2 - exp(log_var)). On MNIST it makes beta = 0.0049.
KL_FACTOR = -0.5e-4


class Sampling(layers.Layer):
    """Draws one z for each image: mu + sigma * noise."""

    def call(self, inputs):
        mu, log_var = inputs
        noise = tf.random.normal(tf.shape(mu))
        return mu + tf.exp(log_var / 2) * noise


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
    """A VAE that computes its losses and gradients itself."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reco_loss_tracker = keras.metrics.Mean(name="reco_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        """What Keras sets back to zero at the start of every epoch."""
        return [self.total_loss_tracker, self.reco_loss_tracker, self.kl_loss_tracker]

    def call(self, images):
        _, _, z = self.encoder(images)
        return self.decoder(z)

    def compute_losses(self, images, targets):
        """Total, reconstruction and KL loss of one batch."""
        # Not layer outputs that stand for any batch, but the values of this one.
        mu, log_var, z = self.encoder(images)
        reconstruction = self.decoder(z)
        reco_loss = tf.reduce_mean(keras.losses.binary_crossentropy(targets, reconstruction))
        kl_loss = KL_FACTOR * tf.reduce_mean(1 + log_var - tf.square(mu) - tf.exp(log_var))
        return reco_loss + kl_loss, reco_loss, kl_loss

    def track(self, total_loss, reco_loss, kl_loss):
        """Take the losses of one batch into the means of the epoch."""
        self.total_loss_tracker.update_state(total_loss)
        self.reco_loss_tracker.update_state(reco_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {metric.name: metric.result() for metric in self.metrics}

    def train_step(self, data):
        images, targets = data
        with tf.GradientTape() as tape:
            losses = self.compute_losses(images, targets)
        gradients = tape.gradient(losses[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        return self.track(*losses)

    def test_step(self, data):
        images, targets = data
        return self.track(*self.compute_losses(images, targets))


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
