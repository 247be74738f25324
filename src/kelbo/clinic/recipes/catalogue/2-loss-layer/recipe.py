"""Recipe 2: a last layer computes the loss, with mu and log_var from outside.

Taught by F. Chollet, Deep Learning with Python (2017). The KL term gets in through add_loss of a
layer at the end of the model. The image and its reconstruction are the layer's inputs; mu and
log_var it takes from the scope around it. The model is compiled with loss=None.

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

    class VariationalLayer(layers.Layer):
        """Adds the loss to the model and hands the reconstruction on."""

        def call(self, inputs):
            image, reconstruction = inputs
            reco_loss = K.mean(keras.losses.binary_crossentropy(image, reconstruction))
            # Keras calls a layer once to build the model and, when eager, again in every training
            # step. Then the two inputs are this batch's values, but mu and log_var are still the
            # placeholders of the first time.
            kl_loss = KL_FACTOR * K.mean(1 + log_var - K.square(mu) - K.exp(log_var))
            self.add_loss(reco_loss + kl_loss)
            self.add_metric(reco_loss, name="reco_loss", aggregation="mean")
            self.add_metric(kl_loss, name="kl_loss", aggregation="mean")
            return reconstruction

    output = VariationalLayer()([encoder.input, decoder(z)])
    vae = keras.Model(encoder.input, output, name="vae")
    # No loss here: the layer has added all of it.
    vae.compile(optimizer=optimizer, loss=None)
    return encoder, decoder, vae


def train(vae, images, epochs=3, batch_size=128):
    """Fit on images (n, 28, 28, 1) in [0, 1] and return Keras's History."""
    return vae.fit(images, epochs=epochs, batch_size=batch_size)


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
