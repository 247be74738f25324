"""What several test files share: tiny models and data, exact gradients, fixed noise."""

import contextlib
import sys

import keras
import numpy as np
from keras import ops

import kelbo
from kelbo.distributions import Normal
from kelbo.networks import mlp_decoder, mlp_encoder
from kelbo.posteriors import GaussianPosterior
from kelbo.presets import LIKELIHOODS as PARTS

SHAPE = (3, 2, 1)
DIM = 6
LATENT = 2


class NamedLikelihood:
    """A likelihood of kelbo.presets with its options at their defaults, called with a decoder."""

    def __init__(self, part):
        self.kind = part.class_
        self.options = part.arguments({one.name: one.default for one in part.options})

    def __call__(self, network, **kwargs):
        return self.kind(network, **self.options, **kwargs)

    def output_shapes(self, data_shape):
        return self.kind.output_shapes(data_shape, **self.options)


# Those that take any number in [0, 1]; tests/likelihoods/cases.py has all.
GREY = ("bernoulli", "continuous-bernoulli")
LIKELIHOODS = {
    name: NamedLikelihood(PARTS[name])
    for name in (*GREY, "gaussian", "gaussian-shared", "gaussian-per-pixel")
}


def tiny_vae(likelihood="bernoulli", objective=None, seed=0, **kwargs):
    """A VAE on (3, 2, 1) data with 2 latent dimensions and one hidden layer of 5 units."""
    p_of_x = LIKELIHOODS[likelihood]
    return kelbo.VAE(
        GaussianPosterior(mlp_encoder(SHAPE, (5,)), LATENT, name="posterior"),
        p_of_x(mlp_decoder(SHAPE, LATENT, p_of_x.output_shapes(SHAPE), (5,)), name="likelihood"),
        objective=objective,
        seed=seed,
        **kwargs,
    )


def tiny_ae():
    """The autoencoder of the same sizes."""
    return kelbo.AE(
        kelbo.DeterministicPosterior(mlp_encoder(SHAPE, (5,)), LATENT, name="posterior"),
        kelbo.BernoulliLikelihood(mlp_decoder(SHAPE, LATENT, None, (5,)), name="likelihood"),
    )


def data(n, shape=SHAPE, seed=1):
    """`n` data in [0, 1], which every likelihood takes."""
    return np.random.default_rng(seed).random((n, *shape), "float32")


def noise(shape):
    """Standard normal noise that depends on the shape alone."""
    return np.random.default_rng(7).standard_normal(shape).astype("float32")


def to_numpy(tensor):
    """As float64, so that comparing adds no error of its own."""
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def weights(model):
    """Every weight of a model by its place, the random state aside."""
    return [to_numpy(weight) for weight in model.weights]


def randomise(model, scale=0.4):
    """Give every weight a random value, biases too, the same on every backend."""
    generator = np.random.default_rng(3)
    for weight in model.trainable_weights:
        weight.assign((scale * generator.standard_normal(weight.shape)).astype("float32"))


@keras.saving.register_keras_serializable("kelbo-tests")
class Gradient(keras.optimizers.Optimizer):
    """Puts each variable's gradient in its place: a training step on any backend shows it."""

    def __init__(self, learning_rate=1.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        self.assign(variable, gradient)


class FunctionOfWeight(keras.Model):
    def __init__(self, function, at):
        super().__init__()
        self.function = function
        self.at = self.add_weight(shape=at.shape, initializer="zeros")
        self.at.assign(at)
        self.built = True

    def call(self, x):
        return self.function(self.at)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.sum(y_pred)


def gradient(function, at):
    """The gradient of the sum of `function` at an array."""
    model = FunctionOfWeight(function, np.asarray(at, "float32"))
    model.compile(Gradient())
    model.train_on_batch(np.zeros((1, 1), "float32"))
    return to_numpy(model.at)


class Untabled(Normal):
    """A normal distribution that the table of closed forms does not know."""


class UntabledPrior(kelbo.StandardNormalPrior):
    """N(0, I), without a closed-form KL."""

    def distribution(self, parameters):
        p = super().distribution(parameters)
        return Untabled(p.mu, p.log_var, p.event_rank)


@contextlib.contextmanager
def little_memory(room=2**30):
    """Let this process take no more than `room` bytes more than it has, where the system can."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with open("/proc/self/statm") as status:
        taken = int(status.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def unnamed(config):
    """A configuration without the names and numbers by which Keras tells layers apart."""
    if isinstance(config, dict):
        apart = ("name", "shared_object_id")
        return {key: unnamed(value) for key, value in config.items() if key not in apart}
    return [unnamed(each) for each in config] if isinstance(config, list | tuple) else config
