"""Recipe 0: a plain autoencoder, the baseline that the VAEs are compared with.

The reference of the series "Variational Autoencoder with Tensorflow" (linux-blog.anracom.com,
2022). No KL term, nothing random: the encoder gives one point z for each image.

Run: python recipe.py [mnist.npz]
"""

import sys

import numpy as np

try:
    from tensorflow import keras
except ImportError:  # Keras 3 on JAX or PyTorch, without TensorFlow
    import keras

layers = keras.layers

Z_DIM = 16


def build_encoder():
    """Image -> z."""
    images = keras.Input(shape=(28, 28, 1))
    x = layers.Conv2D(32, 3, padding="same", name="enc_conv_1")(images)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", name="enc_conv_2")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", name="enc_conv_3")(x)
    x = layers.LeakyReLU()(x)
    x = layers.Flatten()(x)
    z = layers.Dense(Z_DIM, name="z")(x)
    return keras.Model(images, z, name="encoder")


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
    """Encoder, decoder, and the compiled autoencoder that joins them."""
    encoder = build_encoder()
    decoder = build_decoder()

    ae = keras.Model(encoder.input, decoder(encoder.output), name="ae")
    ae.compile(optimizer=optimizer, loss="binary_crossentropy")
    return encoder, decoder, ae


def train(ae, images, epochs=3, batch_size=128):
    """Fit on images (n, 28, 28, 1) in [0, 1] and return Keras's History."""
    return ae.fit(images, images, epochs=epochs, batch_size=batch_size)


def main():
    """Train on MNIST and print the losses of every epoch."""
    if len(sys.argv) > 1:
        digits = np.load(sys.argv[1])["x_train"]
    else:
        (digits, _), _ = keras.datasets.mnist.load_data()
    images = (digits / 255.0).astype("float32").reshape(-1, 28, 28, 1)

    encoder, decoder, ae = build("adam")
    history = train(ae, images)
    for name, values in history.history.items():
        print(name, values)


if __name__ == "__main__":
    main()
