# A class that builds; the loss functions in its compile read self.mu and a factor from outside.
import numpy as np
import keras
from keras import ops
from keras.layers import Dense, Flatten, Input, Reshape
from keras.models import Model
from keras.optimizers import SGD


@keras.saving.register_keras_serializable(package="vae")
class VAE(keras.Model):
    """A VAE whose outputs are all that its loss needs."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.vae_r_loss_tracker = keras.metrics.Mean(name="vae_r_loss")
        self.vae_kl_loss_tracker = keras.metrics.Mean(name="vae_kl_loss")

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        self.vae_metrics = metrics

    def get_compile_config(self):
        metrics = keras.saving.serialize_keras_object(self.vae_metrics)
        return {**super().get_compile_config(), "metrics": metrics}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        if sample_weight is not None:
            raise ValueError("This loss takes no sample weights.")
        # The effective beta is 0.0080, as before: the KL term counts 125 times less
        # than in the ELBO.
        # In 32 bits, whatever precision the layers compute in.
        model_output, mu, log_var = [ops.cast(output, "float32") for output in y_pred]
        vae_r_loss, vae_kl_loss = self.vae_metrics
        self.vae_r_loss_tracker.update_state(vae_r_loss(y, model_output))
        self.vae_kl_loss_tracker.update_state(vae_kl_loss(y, model_output, mu=mu, log_var=log_var))
        return ops.mean(self.loss(y, model_output, mu=mu, log_var=log_var))

    def predict(self, *args, **kwargs):
        # The reconstruction alone, as before.
        return super().predict(*args, **kwargs)[0]


class VariationalAutoencoder:
    def __init__(self, input_dim, z_dim):
        self.input_dim = input_dim
        self.z_dim = z_dim
        self._build()

    def _build(self):
        ### THE ENCODER
        encoder_input = Input(shape=self.input_dim, name="encoder_input")
        x = Flatten()(encoder_input)
        self.mu = Dense(self.z_dim, name="mu")(x)
        self.log_var = Dense(self.z_dim, name="log_var")(x)

        @keras.saving.register_keras_serializable(package="vae")
        class Sampling(keras.layers.Layer):
            """Draws one z for each datum; the state of its random numbers is its own."""

            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.seed_generator = keras.random.SeedGenerator()

            def call(self, args):
                mu, log_var = args
                epsilon = keras.random.normal(
                    shape=ops.shape(mu),
                    mean=0.0,
                    stddev=1.0,
                    dtype=self.compute_dtype,
                    seed=self.seed_generator,
                )
                return mu + ops.exp(log_var / 2) * epsilon

        encoder_output = Sampling(name="encoder_output")([self.mu, self.log_var])
        self.encoder = Model(encoder_input, encoder_output)

        ### THE DECODER
        decoder_input = Input(shape=(self.z_dim,), name="decoder_input")
        x = Dense(16, activation="sigmoid")(decoder_input)
        decoder_output = Reshape(self.input_dim)(x)
        self.decoder = Model(decoder_input, decoder_output)

        ### THE FULL VAE
        model_input = encoder_input
        model_output = self.decoder(encoder_output)
        self.model = VAE(model_input, [model_output, self.mu, self.log_var])

    def compile(self, learning_rate, r_loss_factor):
        @keras.saving.register_keras_serializable(package="vae")
        def vae_r_loss(y_true, y_pred):
            r_loss = ops.mean(ops.square(y_true - y_pred), axis=(1, 2, 3))
            return r_loss_factor * r_loss

        @keras.saving.register_keras_serializable(package="vae")
        def vae_kl_loss(y_true, y_pred, mu, log_var):
            kl_loss = -0.5 * ops.sum(
                1 + log_var - ops.square(mu) - ops.exp(log_var), axis=1
            )
            return kl_loss

        @keras.saving.register_keras_serializable(package="vae")
        def vae_loss(y_true, y_pred, mu, log_var):
            r_loss = vae_r_loss(y_true, y_pred)
            kl_loss = vae_kl_loss(y_true, y_pred, mu=mu, log_var=log_var)
            return r_loss + kl_loss

        optimizer = SGD(learning_rate)
        self.model.compile(optimizer=optimizer, loss=vae_loss, metrics=[vae_r_loss, vae_kl_loss])


images = np.random.RandomState(0).rand(8, 4, 4, 1).astype("float32")
vae = VariationalAutoencoder((4, 4, 1), 2)
vae.compile(0.01, r_loss_factor=1000)
vae.model.fit(images, images, batch_size=8, shuffle=True, verbose=0)
