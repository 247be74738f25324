"""The total loss, chosen by an option, on the outputs of the layers."""

from __future__ import print_function

import numpy as np
import keras
from keras import ops
from keras.layers import Dense, Input
from keras.losses import binary_crossentropy, mean_squared_error as mse
from keras.models import Model


# reparameterization trick
# instead of sampling from Q(z|X), sample eps = N(0,I)
@keras.saving.register_keras_serializable(package="vae")
class Sampling(keras.layers.Layer):
    """Draws one z for each datum; the state of its random numbers is its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, args):
        """Draw z.

        # Returns:
            z (tensor): sampled latent vector
        """
        z_mean, z_log_var = args
        batch = ops.shape(z_mean)[0]
        dim = z_mean.shape[1]
        # by default, random_normal has mean = 0 and std = 1.0
        epsilon = keras.random.normal(
            shape=(batch, dim), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


x_train = np.random.RandomState(0).rand(8, 16).astype("float32")
original_dim = 16
use_mse = False
latent_dim = 2

inputs = Input(shape=(original_dim,), name="encoder_input")
x = Dense(6, activation="relu")(inputs)
z_mean = Dense(latent_dim, name="z_mean")(x)
z_log_var = Dense(latent_dim, name="z_log_var")(x)
z = Sampling(name="z")([z_mean, z_log_var])
encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")

latent_inputs = Input(shape=(latent_dim,), name="z_sampling")
x = Dense(6, activation="relu")(latent_inputs)
outputs = Dense(original_dim, activation="sigmoid")(x)
decoder = Model(latent_inputs, outputs, name="decoder")

outputs = decoder(encoder(inputs)[2])


@keras.saving.register_keras_serializable(package="vae")
class VAE(keras.Model):
    """A VAE whose outputs are all that its loss needs."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        if sample_weight is not None:
            raise ValueError("This loss takes no sample weights.")
        inputs = x
        # The reconstruction and the KL term have the weights that they had before.
        # In 32 bits, whatever precision the layers compute in.
        outputs, z_mean, z_log_var = [ops.cast(output, "float32") for output in y_pred]
        # VAE loss = mse_loss or xent_loss + kl_loss
        if use_mse:
            reconstruction_loss = mse(inputs, outputs)
        else:
            reconstruction_loss = binary_crossentropy(inputs, outputs)
        reconstruction_loss *= original_dim
        kl_loss = 1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var)
        kl_loss = ops.sum(kl_loss, axis=-1)
        kl_loss *= -0.5
        vae_loss = ops.mean(reconstruction_loss + kl_loss)
        return vae_loss

    def predict(self, *args, **kwargs):
        # The reconstruction alone, as before.
        return super().predict(*args, **kwargs)[0]


vae = VAE(inputs, [outputs, *encoder(inputs)[:2]], name="vae_mlp")

if __name__ == "__main__":
    models = (encoder, decoder)

    vae.compile(optimizer="adam")
    vae.fit(x_train, epochs=1, batch_size=8, validation_data=(x_train, None), verbose=0)
