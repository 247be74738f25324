"""Models of kelbo's with networks of one's own; `tests.kinds` has others."""

import keras
from keras import layers

import kelbo
from tests.clinic.diagnosis.models import DIM, LATENT, SHAPE
from tests.support import randomise


def encoder(**options):
    """To mu and log_var; `options` are those of its Dense layers, "mu", "log_var" and "hidden"."""
    x = keras.Input(SHAPE)
    h = layers.Dense(12, "tanh", **options.get("hidden", {}))(layers.Flatten()(x))
    q = [layers.Dense(LATENT, name=n, **options.get(n, {}))(h) for n in ("mu", "log_var")]
    return keras.Model(x, q)


def decoder(**options):
    z = keras.Input((LATENT,))
    h = layers.Dense(12, "tanh", **options)(z)
    return keras.Model(z, layers.Reshape(SHAPE)(layers.Dense(DIM, **options)(h)))


def ready(model):
    """With random weights, compiled."""
    randomise(model)
    model.compile("adam")
    return model


def made(posterior, likelihood, prior=None, objective=None):
    """A VAE of an encoder and a decoder network, ready."""
    parts = kelbo.GaussianPosterior(posterior), kelbo.BernoulliLikelihood(likelihood)
    return ready(kelbo.VAE(*parts, prior, objective, seed=0))


def of_images():
    """Z is an image of 2 x 2 and two channels."""
    x = keras.Input(SHAPE)
    h = layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh")(x)
    q = [layers.Conv2D(2, 1, name=name)(h) for name in ("mu", "log_var")]
    z = keras.Input((2, 2, 2))
    up = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="tanh")(z)
    return made(keras.Model(x, q), keras.Model(z, layers.Conv2D(1, 3, padding="same")(up)))


def padded():
    """Sequences whose steps of nothing but zeros the encoder masks."""
    x = keras.Input((4, 4))
    h = layers.SimpleRNN(12)(layers.Masking()(x))
    z = keras.Input((LATENT,))
    x_of_z = layers.Reshape((4, 4))(layers.Dense(DIM)(layers.Dense(12, "tanh")(z)))
    q = [layers.Dense(LATENT, name=name)(h) for name in ("mu", "log_var")]
    return made(keras.Model(x, q), keras.Model(z, x_of_z))
