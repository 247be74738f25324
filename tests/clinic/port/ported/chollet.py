# A loss layer with helper method, tf.keras spelled out, Lambda sampling.
import numpy as np
import keras
from keras import layers, ops
from keras.models import Model

latent_dim = 2  # of the plane of digits
x_train = np.random.RandomState(0).rand(8, 4, 4, 1).astype("float32")

input_img = keras.Input(shape=(4, 4, 1))
x = layers.Conv2D(3, 3, padding="same", activation="relu")(input_img)
x = layers.Flatten()(x)
z_mean = layers.Dense(latent_dim)(x)
z_log_var = layers.Dense(latent_dim)(x)


@keras.saving.register_keras_serializable(package="vae")
class Sampling(keras.layers.Layer):
    """Draws one z for each datum; the state of its random numbers is its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, args):
        z_mean, z_log_var = args
        epsilon = keras.random.normal(
            shape=(ops.shape(z_mean)[0], latent_dim),
            mean=0.0,
            stddev=1.0,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )
        return z_mean + ops.exp(z_log_var / 2) * epsilon


z = Sampling()([z_mean, z_log_var])

# The decoder.
decoder_input = layers.Input(z.shape[1:])
y = layers.Dense(16, activation="sigmoid")(decoder_input)
y = layers.Reshape((4, 4, 1))(y)
decoder = Model(decoder_input, y)
z_decoded = decoder(z)


@keras.saving.register_keras_serializable(package="vae")
class VAE(keras.Model):
    """A VAE whose outputs are all that its loss needs."""

    def vae_loss(self, x, z_decoded, z_mean, z_log_var):
        x = ops.reshape(x, (-1,))
        z_decoded = ops.reshape(z_decoded, (-1,))
        xent_loss = keras.metrics.binary_crossentropy(x, z_decoded)
        # The weight is small.
        kl_loss = -5e-4 * ops.mean(1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var), axis=-1)
        return ops.mean(xent_loss + kl_loss)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        if sample_weight is not None:
            raise ValueError("This loss takes no sample weights.")
        # The effective beta is 0.0080, as before: the KL term counts 125 times less
        # than in the ELBO.
        # In 32 bits, whatever precision the layers compute in.
        z_decoded, z_mean, z_log_var = [ops.cast(output, "float32") for output in y_pred]
        inputs = [x, z_decoded]
        x = inputs[0]
        z_decoded = inputs[1]
        loss = self.vae_loss(x, z_decoded, z_mean=z_mean, z_log_var=z_log_var)
        return loss

    def predict(self, *args, **kwargs):
        # The reconstruction alone, as before.
        return super().predict(*args, **kwargs)[0]


vae = VAE(input_img, [z_decoded, z_mean, z_log_var])
vae.compile(optimizer="rmsprop")
vae.fit(x=x_train, y=None, shuffle=True, epochs=1, batch_size=8, verbose=0)
