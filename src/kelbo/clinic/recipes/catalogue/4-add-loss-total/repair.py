"""Recipe 4, repaired: the total loss passes through a layer that adds it.

The loss is still written on the outputs of layers, in the same lines, and the model is still
compiled without a loss. But the operations are Keras's own, and a layer whose input the loss is
calls add_loss. Runs unchanged from TensorFlow 1.15 to Keras 3 on TensorFlow, JAX and PyTorch.

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


class AddLoss(layers.Layer):
    """Adds its second input to the model's loss and hands the first one on."""

    def call(self, inputs):
        output, loss = inputs
        # One number for the batch. Of one for each image some releases would take the sum.
        self.add_loss(ops.mean(loss))
        return output


def build(optimizer):
    """Encoder, decoder, and the compiled VAE that joins them."""
    encoder = build_encoder()
    decoder = build_decoder()

    images = keras.Input(shape=(28, 28, 1))
    mu, log_var, z = encoder(images)
    output = decoder(z)

    # One loss for each image, so that the layer's inputs are batches like any others.
    reco_loss = ops.mean(ops.binary_crossentropy(images, output), axis=(1, 2, 3))
    kl_loss = KL_FACTOR * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    output = AddLoss()([output, reco_loss + kl_loss])
    vae = keras.Model(images, output, name="vae")
    vae.compile(optimizer=optimizer)
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
