"""Recipe 1, repaired: all that the loss function needs arrives in y_pred.

It is still one loss function in compile(loss=...). The model's one output is now the image, mu
and log_var side by side, and the loss function takes them apart. Runs unchanged from TensorFlow
1.15 to Keras 3 on TensorFlow, JAX and PyTorch.

Run: python repair.py [mnist.npz]
"""

import sys

import numpy as np

try:
    from tensorflow import keras
except ImportError:  # Keras 3 on JAX or PyTorch, without TensorFlow
    import keras

layers = keras.layers

# Keras 3 has keras.ops, Keras 2 has the backend module. Every name used below is in both.
KERAS_3 = hasattr(keras, "ops")
ops = keras.ops if KERAS_3 else keras.backend

Z_DIM = 16

# In front of mean(1 + log_var - mu^2 - exp(log_var)). On MNIST it makes beta = 0.0049.
KL_FACTOR = -0.5e-4
PIXELS = 28 * 28


class Sampling(layers.Layer):
    """Draws one z for each image: mu + sigma * noise."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if KERAS_3:  # it keeps the state of the random numbers in a variable of the layer
            self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mu, log_var = inputs
        if KERAS_3:
            noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
        else:
            noise = keras.backend.random_normal(ops.shape(mu))
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


def vae_loss(y_true, y_pred):
    """BCE + KL for each image of a batch: (batch, 784), (batch, 784 + 16 + 16) -> (batch,)."""
    image = y_pred[:, :PIXELS]
    mu = y_pred[:, PIXELS : PIXELS + Z_DIM]
    log_var = y_pred[:, PIXELS + Z_DIM :]

    reco_loss = keras.losses.binary_crossentropy(y_true, image)
    # These are the values of this batch, because the model itself has handed them over.
    kl_loss = KL_FACTOR * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    return reco_loss + kl_loss


def build(optimizer):
    """Encoder, decoder, and the compiled VAE that joins them."""
    encoder = build_encoder()
    decoder = build_decoder()
    mu, log_var, z = encoder.outputs

    image = layers.Flatten()(decoder(z))
    joined = layers.Concatenate()([image, mu, log_var])
    vae = keras.Model(encoder.input, joined, name="vae")
    vae.compile(optimizer=optimizer, loss=vae_loss)
    return encoder, decoder, vae


def train(vae, images, epochs=3, batch_size=128):
    """Fit on images (n, 28, 28, 1) in [0, 1] and return Keras's History."""
    pixels = images.reshape(-1, PIXELS)  # the targets in the shape of the output
    return vae.fit(images, pixels, epochs=epochs, batch_size=batch_size)


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
