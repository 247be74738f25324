"""Recipe 3: model.add_loss with the KL term, an ordinary loss for the rest.

Taught by A. Géron, Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow, 2nd edition
(2019), chapter 17. The KL term is written directly on the outputs of the encoder's layers and gets
in through model.add_loss; compile(loss=...) has the reconstruction.

Run: python recipe.py [mnist.npz]
"""

import sys

import numpy as np
from tensorflow import keras
from tensorflow.keras import backend as K
from tensorflow.keras import layers

Z_DIM = 16

# In front of mean(1 + log_var - mu^2 - exp(log_var)). On MNIST it makes beta = 0.0049.
KL_FACTOR = -0.5e-4


class Sampling(layers.Layer):
    """Draws one z for each image: mu + sigma * noise."""

    def call(self, inputs):
        mu, log_var = inputs
        noise = K.random_normal(K.shape(mu))
        return mu + K.exp(log_var / 2) * noise


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


def build(optimizer):
    """Encoder, decoder, and the compiled VAE that joins them."""
    encoder = build_encoder()
    decoder = build_decoder()

    images = keras.Input(shape=(28, 28, 1))
    mu, log_var, z = encoder(images)
    vae = keras.Model(images, decoder(z), name="vae")

    # This runs once, here, on tensors that stand for any batch. In Keras 2 each operation becomes
    # a part of the model, and so the KL term is computed anew in every step. Keras 3 does this for
    # its own operations only and stops at K.square, which is TensorFlow's.
    kl_loss = KL_FACTOR * K.mean(1 + log_var - K.square(mu) - K.exp(log_var))
    vae.add_loss(kl_loss)
    vae.compile(optimizer=optimizer, loss="binary_crossentropy")
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
