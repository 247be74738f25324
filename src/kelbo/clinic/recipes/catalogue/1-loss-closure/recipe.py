"""Recipe 1: the loss function closes over mu and log_var.

Taught by D. Foster, Generative Deep Learning (2019). The KL term gets in through
compile(loss=...): the loss function takes mu and log_var not from its arguments but from the
scope around it, where they are layer outputs of the encoder.

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


def sample(inputs):
    """Draw one z for each image: mu + sigma * noise."""
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
    z = layers.Lambda(sample, name="enc_out_z")([mu, log_var])
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
    mu, log_var, z = encoder.outputs

    def vae_loss(y_true, y_pred):
        # Keras averages over the last axis only, which here is the one colour channel.
        bce = keras.losses.binary_crossentropy(y_true, y_pred)
        reco_loss = K.mean(bce, axis=[1, 2])
        # mu and log_var come from outside. They describe what the encoder will compute; they are
        # not what it computed for this batch. In graph mode the two are nodes of one graph, so
        # this worked. An eager training step finds a placeholder here and stops.
        kl_loss = KL_FACTOR * K.mean(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
        return reco_loss + kl_loss

    # The VAE must start at the encoder's own input: mu and log_var hang on it.
    vae = keras.Model(encoder.input, decoder(z), name="vae")
    vae.compile(optimizer=optimizer, loss=vae_loss)
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
