# A sampling layer of one's own, Sequential decoder, KL scaled by the number of pixels.
import numpy as np
import keras
from keras import ops

keras.utils.set_random_seed(42)
codings_size = 2
X_train = np.random.RandomState(0).rand(8, 4, 4).astype(np.float32)


@keras.saving.register_keras_serializable(package="vae")
class Sampling(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mean, log_var = inputs
        return keras.random.normal(
            ops.shape(log_var), dtype=self.compute_dtype, seed=self.seed_generator
        ) * ops.exp(log_var / 2) + mean


inputs = keras.layers.Input(shape=[4, 4])
z = keras.layers.Flatten()(inputs)
z = keras.layers.Dense(6, activation="selu")(z)
codings_mean = keras.layers.Dense(codings_size)(z)  # mu
codings_log_var = keras.layers.Dense(codings_size)(z)  # gamma
codings = Sampling()([codings_mean, codings_log_var])
variational_encoder = keras.models.Model(
    inputs=inputs, outputs=[codings_mean, codings_log_var, codings]
)

decoder_inputs = keras.layers.Input(shape=[codings_size])
x = keras.layers.Dense(16, activation="sigmoid")(decoder_inputs)
outputs = keras.layers.Reshape([4, 4])(x)
variational_decoder = keras.models.Model(inputs=decoder_inputs, outputs=outputs)

_, _, codings = variational_encoder(inputs)
reconstructions = variational_decoder(codings)


@keras.saving.register_keras_serializable(package="vae")
class VAE(keras.Model):
    """A VAE whose outputs are all that its loss needs."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        if sample_weight is not None:
            raise ValueError("This loss takes no sample weights.")
        # The effective beta is 1, as before.
        # In 32 bits, whatever precision the layers compute in.
        reconstructions, codings_mean, codings_log_var = [
            ops.cast(output, "float32") for output in y_pred
        ]
        latent_loss = -0.5 * ops.sum(
            1 + codings_log_var - ops.exp(codings_log_var) - ops.square(codings_mean), axis=-1
        )
        reconstruction_loss = ops.mean(keras.losses.binary_crossentropy(y, reconstructions))
        return reconstruction_loss + ops.mean(latent_loss) / 16.0

    def predict(self, *args, **kwargs):
        # The reconstruction alone, as before.
        return super().predict(*args, **kwargs)[0]


variational_ae = VAE(inputs=inputs, outputs=[reconstructions, *variational_encoder(inputs)[:2]])

variational_ae.compile(optimizer="rmsprop")
history = variational_ae.fit(X_train, X_train, epochs=1, batch_size=8, verbose=0)
