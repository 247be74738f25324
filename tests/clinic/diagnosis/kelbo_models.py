"""Models of kelbo's with parts of one's own: z an image, conditions, priors with networks."""

import keras
import numpy as np
from keras import layers, ops

import kelbo
from kelbo.distributions import Normal
from kelbo.distributions.distribution import Distribution
from kelbo.objectives import ELBO
from kelbo.priors import Prior
from tests.clinic.diagnosis.models import DIM, LATENT, SHAPE, images
from tests.support import randomise

LABELS = 2


def encoder(*conditions, **options):
    """To mu and log_var; `options` are those of its Dense layers, "mu", "log_var" and "hidden"."""
    x = keras.Input(SHAPE, name="x")
    h = layers.Concatenate()([layers.Flatten()(x), *conditions])
    h = layers.Dense(12, "tanh", **options.get("hidden", {}))(h)
    q = [layers.Dense(LATENT, name=n, **options.get(n, {}))(h) for n in ("mu", "log_var")]
    return keras.Model([x, *conditions] if conditions else x, q)


def decoder(*conditions, **options):
    z = keras.Input((LATENT,), name="z")
    h = layers.Dense(12, "tanh", **options)(layers.Concatenate()([z, *conditions]))
    x = layers.Reshape(SHAPE)(layers.Dense(DIM, **options)(h))
    return keras.Model([z, *conditions] if conditions else z, x)


def made(posterior, likelihood, prior=None, objective=None):
    posterior, likelihood = (
        kelbo.GaussianPosterior(posterior),
        kelbo.BernoulliLikelihood(likelihood),
    )
    model = kelbo.VAE(posterior, likelihood, prior, objective, seed=0)
    randomise(model)
    model.compile("adam")
    return model


def of_images():
    """Z is an image of 2 x 2 and two channels."""
    x = keras.Input(SHAPE)
    h = layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh")(x)
    q = [layers.Conv2D(2, 1, name=name)(h) for name in ("mu", "log_var")]
    z = keras.Input((2, 2, 2))
    up = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="tanh")(z)
    return made(keras.Model(x, q), keras.Model(z, layers.Conv2D(1, 3, padding="same")(up)))


class LabelPrior(Prior):
    """p(z|label): its means are made of the label by a network."""

    context_shapes = {"label": (LABELS,)}

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(LATENT)

    def build(self, latent_shape):
        self.dense.build((None, LABELS))
        super().build(latent_shape)

    def call(self, context=None, *, posterior=None, training=None):
        return {"mu": self.dense(context["label"])}

    def distribution(self, parameters):
        return Normal(parameters["mu"], ops.zeros_like(parameters["mu"]), 1)


def conditional():
    """Encoder, decoder and prior depend on a label."""
    label = keras.Input((LABELS,), name="label")
    other = keras.Input((LABELS,), name="label")
    return made(encoder(label), decoder(other), LabelPrior())


class Mixture(Distribution):
    """Equal parts of normals with (K, latent_dim) parameters; its KL has no closed form."""

    def __init__(self, q):
        super().__init__(1)
        self.parts = Normal(q.mu[:, None], q.log_var[:, None])

    def log_prob(self, value):
        each = self.parts.log_prob(value[None])
        return ops.logsumexp(each, axis=0) - np.log(self.parts.mu.shape[0])

    def sample(self, seed, sample_shape=()):
        raise NotImplementedError


class VampPrior(Prior):
    """A mixture of the posteriors of three pseudo-inputs (Tomczak and Welling 2018)."""

    def build(self, latent_shape):
        self.inputs = self.add_weight(shape=(3, *SHAPE), initializer="glorot_uniform")
        super().build(latent_shape)

    def call(self, context=None, *, posterior=None, training=None):
        q = posterior(ops.convert_to_tensor(self.inputs))
        return {"mu": q.mu, "log_var": q.log_var}

    def distribution(self, parameters):
        return Mixture(Normal(parameters["mu"], parameters["log_var"]))


def of_pseudo_inputs():
    return made(encoder(), decoder(), VampPrior())


class Multiplied(ELBO):
    """The ELBO, and beside it a weight of the objective's own."""

    def build(self, data_shape, latent_shape):
        self.multiplier = self.add_weight(shape=(), initializer="ones")
        super().build(data_shape, latent_shape)

    def terms(self, trace):
        return {**super().terms(trace), "batch_loss": ops.square(self.multiplier)}


def with_weights_in_the_objective():
    return made(encoder(), decoder(), objective=Multiplied())


def padded():
    """Sequences whose steps of nothing but zeros the encoder masks."""
    x = keras.Input((4, 4))
    h = layers.SimpleRNN(12)(layers.Masking()(x))
    z = keras.Input((LATENT,))
    x_of_z = layers.Reshape((4, 4))(layers.Dense(DIM)(layers.Dense(12, "tanh")(z)))
    q = [layers.Dense(LATENT, name=name)(h) for name in ("mu", "log_var")]
    return made(keras.Model(x, q), keras.Model(z, x_of_z))


def labelled_images():
    return {"x": images(), "label": np.eye(LABELS, dtype="float32")[np.arange(120) % LABELS]}
