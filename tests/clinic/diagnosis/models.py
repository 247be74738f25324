"""VAEs that are not kelbo's, as people write them, right and wrong."""

import keras
import numpy as np
from keras import layers, ops

import kelbo

SHAPE = (4, 4, 1)
DIM = 16
LATENT = 3


# Three bits make an image: each pixel shows one of them.
BITS = np.arange(DIM) % LATENT


def images(n=120, seed=0):
    """Black and white images that show three random bits, one pixel in 50 wrongly."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 2, (n, LATENT))[:, BITS]
    wrong = generator.random(x.shape) < 0.02
    return np.where(wrong, 1 - x, x).reshape(n, *SHAPE).astype("float32")


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(5)

    def call(self, inputs):
        mu, log_var = inputs
        noise = keras.random.normal(ops.shape(mu), dtype="float32", seed=self.seed_generator)
        noise = ops.cast(noise, mu.dtype)
        return mu + ops.exp(0.5 * log_var) * noise


def make_encoder(clip=None):
    x = keras.Input(SHAPE)
    h = layers.Dense(12, "tanh")(layers.Flatten()(x))
    mu = layers.Dense(LATENT, name="mu")(h)
    log_var = layers.Dense(LATENT, name="log_var")(h)
    if clip is not None:
        log_var = ops.clip(log_var, *clip)
    return keras.Model(x, [mu, log_var, Sampling()([mu, log_var])], name="encoder")


def make_decoder(activation="sigmoid", normalised=False):
    z = keras.Input((LATENT,))
    h = layers.Dense(12, "tanh")(z)
    if normalised:
        h = layers.BatchNormalization()(h)
    x = layers.Reshape(SHAPE)(layers.Dense(DIM, activation)(h))
    return keras.Model(z, x, name="decoder")


def image_encoder(halves=False):
    """An encoder whose z is an image of 2 x 2 and two channels, as a latent diffusion has it."""
    x = keras.Input(SHAPE)
    h = layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh")(x)
    if halves:
        return keras.Model(x, layers.Conv2D(4, 1)(h), name="encoder")
    q = [layers.Conv2D(2, 1, name=name)(h) for name in ("z_mean", "z_log_var")]
    return keras.Model(x, [*q, Sampling()(q)], name="encoder")


def image_decoder(activation="sigmoid"):
    z = keras.Input((2, 2, 2))
    h = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="tanh")(z)
    return keras.Model(z, layers.Conv2D(1, 3, padding="same", activation=activation)(h))


def healthy_weights():
    """Weights that code each bit in one latent dimension: a good VAE without training.

    Returns:
        Kernel and bias of an identity, of mu, of log_var and of the decoder's logits. Then mu is
        near 1 or -1, sigma 0.3, and a logit 4 z.
    """
    shows = (BITS[:, None] == np.arange(LATENT)).astype("float32")
    mu = [2.0 * shows / shows.sum(axis=0), np.full(LATENT, -1.0)]
    log_var = [np.zeros((DIM, LATENT)), np.full(LATENT, -2.4)]
    return [np.eye(DIM), np.zeros(DIM)], mu, log_var, [4.0 * shows.T, np.zeros(DIM)]


def linear_encoder():
    """Flat images, through a layer that may do something to them."""
    x = keras.Input(SHAPE)
    return keras.Model(x, layers.Dense(DIM, name="enc_dense")(layers.Flatten()(x)))


def linear_decoder(activation=None):
    z = keras.Input((LATENT,))
    x = layers.Reshape(SHAPE)(layers.Dense(DIM, activation, name="dec_dense")(z))
    return keras.Model(z, x, name="decoder")


def healthy_vae(objective=None):
    """A VAE of kelbo's that codes the three bits."""
    posterior = kelbo.GaussianPosterior(linear_encoder(), LATENT)
    likelihood = kelbo.BernoulliLikelihood(linear_decoder())
    model = kelbo.VAE(posterior, likelihood, objective=objective, seed=0)
    identity, mu, log_var, decoder = healthy_weights()
    model.posterior.network.get_layer("enc_dense").set_weights(identity)
    model.posterior.mu.set_weights(mu)
    model.posterior.log_var.set_weights(log_var)
    model.likelihood.network.get_layer("dec_dense").set_weights(decoder)
    model.compile(keras.optimizers.SGD(0.0))
    return model


def collapse(model):
    """Give every datum the prior as its posterior, and the mean image as its reconstruction."""
    for head in (model.posterior.mu, model.posterior.log_var):
        head.set_weights([np.zeros((DIM, LATENT)), np.zeros(LATENT)])
    show_mean(model)


def show_mean(model):
    """Make the decoder ignore z and give the mean image."""
    mean = (images().sum(axis=0).ravel() + 1) / (len(images()) + 2)
    decoder = model.likelihood.network.get_layer("dec_dense")
    decoder.set_weights([np.zeros((LATENT, DIM)), np.log(mean) - np.log1p(-mean)])


def cross_entropy(x, p):
    return ops.sum(keras.losses.binary_crossentropy(x, p), axis=(1, 2))


def mean_cross_entropy(x, p):
    return ops.mean(keras.losses.binary_crossentropy(x, p), axis=(1, 2))


def from_logits(x, logits):
    each = keras.losses.binary_crossentropy(x, logits, from_logits=True)
    return ops.sum(each, axis=(1, 2))


def mean_squared_error(x, y):
    return ops.mean(ops.square(x - y), axis=(1, 2, 3))


class ForeignVAE(keras.Model):
    """Keras 3's way: compute_loss. The KL is summed and its weight is free."""

    def __init__(self, reconstruction=cross_entropy, weight=1.0, encoder=None, decoder=None):
        super().__init__(name="foreign")
        self.encoder = make_encoder() if encoder is None else encoder
        self.decoder = make_decoder() if decoder is None else decoder
        self.reconstruction = reconstruction
        self.weight = weight
        self.kl_tracker = keras.metrics.Mean(name="kl")

    def call(self, x):
        mu, log_var, z = self.encoder(x)
        return self.decoder(z), mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        decoded, mu, log_var = y_pred
        kl = -0.5 * (1 + log_var - ops.square(mu) - ops.exp(log_var))
        kl = ops.sum(kl, axis=tuple(range(1, len(mu.shape))))
        self.kl_tracker.update_state(kl)
        return ops.mean(self.reconstruction(x if y is None else y, decoded) + self.weight * kl)


def foreign_vae(*args, optimizer="adam", **kwargs):
    model = ForeignVAE(*args, **kwargs)
    model.compile(optimizer)
    return model


def train_step_vae():
    """The way of keras.io's example, on TensorFlow; it has no call and needs none."""
    import tensorflow as tf

    class TrainStepVAE(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = make_encoder(), make_decoder()
            self.tracker = keras.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            with tf.GradientTape() as tape:
                mu, log_var, z = self.encoder(data)
                kl = -0.5 * (1 + log_var - tf.square(mu) - tf.exp(log_var))
                loss = tf.reduce_mean(cross_entropy(data, self.decoder(z)))
                loss += tf.reduce_mean(tf.reduce_sum(kl, axis=1))
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

    model = TrainStepVAE()
    model.compile("adam")
    return model
