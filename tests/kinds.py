"""One thing of each kind that kelbo's contracts are to carry, made of its public classes.

Each is small, and none is part of the library: a conditional VAE's parts, priors with a network, a
posterior that is a flow, a model of two groups of latents, an objective with weights.
"""

import keras
import numpy as np
from keras import layers, ops

import kelbo
from kelbo.distributions import Distribution, Normal
from kelbo.model import LatentVariableModel
from kelbo.objectives import Objective
from kelbo.objectives.objective import elbo_terms
from kelbo.posteriors import GaussianPosterior
from kelbo.priors import Prior
from kelbo.trace import Group, Trace

FEATURES, LATENT, CONDITIONS = 5, 2, 3
registered = keras.saving.register_keras_serializable("kelbo-tests")


def network(inputs, sizes, middle=()):
    """Named inputs, concatenated, through a hidden layer and `middle` to outputs of these sizes."""
    named = [keras.Input((size,), name=name) for name, size in inputs.items()]
    h = layers.Dense(6, "tanh")(layers.Concatenate()(named) if len(named) > 1 else named[0])
    for layer in middle:
        h = layer()(h)
    outputs = [layers.Dense(size)(h) for size in sizes]
    return keras.Model(_only(named), _only(outputs))


def _only(tensors):
    return tensors if len(tensors) > 1 else tensors[0]


@registered
class Spy(layers.Layer):
    """Notes the training mode of each pass."""

    seen = []

    def call(self, inputs, training=None):
        Spy.seen.append(training)
        return inputs


@registered
class NetworkPrior(Prior):
    """N(mu, exp(log_var)) of a network of the conditions, or of a constant where there are none."""

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        named = {each.name: tuple(each.shape[1:]) for each in network.inputs}
        self.context_shapes = {name: s for name, s in named.items() if name != "constant"}

    def call(self, context=None, *, posterior=None, training=None):
        given = context["c"] if self.context_shapes else ops.ones((1, 1))
        mu, log_var = self.network(given, training=training)
        if self.context_shapes:
            return {"mu": mu, "log_var": log_var}
        return {"mu": mu[0], "log_var": log_var[0]}

    def distribution(self, parameters):
        return Normal(parameters["mu"], parameters["log_var"], len(self.latent_shape))

    def get_config(self):
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


@registered
class VampPrior(Prior):
    """A prior made of the posterior: q(z|u) of one learned pseudo-input u."""

    def build(self, latent_shape):
        self.u = self.add_weight(shape=(1, FEATURES), initializer="random_normal", name="u")
        super().build(latent_shape)

    def call(self, context=None, *, posterior=None, training=None):
        q = posterior(ops.convert_to_tensor(self.u))
        return {"mu": q.mu[0], "log_var": q.log_var[0]}

    def distribution(self, parameters):
        return Normal(parameters["mu"], parameters["log_var"])


class Cubic(Distribution):
    """z = e + e^3 / 3 of a normal e: its density is known at a draw, its inverse is no formula."""

    def __init__(self, base):
        super().__init__(base.event_rank)
        self.base = base

    def sample(self, seed, sample_shape=()):
        return self.sample_and_log_prob(seed, sample_shape)[0]

    def sample_and_log_prob(self, seed, sample_shape=()):
        e, log_prob = self.base.sample_and_log_prob(seed, sample_shape)
        return e + e**3 / 3.0, log_prob - self.sum_event(ops.log1p(e**2))

    def log_prob(self, value):
        raise kelbo.errors.UsageError("The inverse is slow: a draw comes with its density.")


@registered
class CubicPosterior(GaussianPosterior):
    """A flow on top of a Gaussian."""

    def distribution(self, parameters):
        return Cubic(super().distribution(parameters))


@registered
class Ladder(LatentVariableModel):
    """Two groups: z_2 ~ q(z_2|x), z_1 ~ q(z_1|x, z_2); p(z_2) = N(0, I), p(z_1|z_2), p(x|z_1)."""

    def __init__(self, top, bottom, prior, likelihood, objective=None, seed=None, **kwargs):
        parts = {"top": top, "bottom": bottom, "prior": prior, "likelihood": likelihood}
        super().__init__(parts, objective or kelbo.ELBO(), seed, **kwargs)

    @property
    def latent_shape(self):
        return self.top.event_shape

    def encode_once(self, inputs, training=None):
        return {"top": self.top(inputs, training=training)}

    def draw(self, inputs, encoded, sample_shape, seed, training=None):
        z_2, log_q_2 = self.top.distribution(encoded["top"]).sample_and_log_prob(seed, sample_shape)
        bottom = self.bottom({"x": inputs, "above": z_2}, training=training)
        z_1, log_q_1 = self.bottom.distribution(bottom).sample_and_log_prob(seed)
        return {
            **encoded,
            "z": (z_2, z_1),
            "log_q": (log_q_2, log_q_1),
            "bottom": bottom,
            "prior": self.prior(z_2, training=training),
            "likelihood": self.likelihood(z_1, training=training),
        }

    def trace(self, inputs, passed=None):
        passed = self(inputs, training=False) if passed is None else passed
        zeros = ops.zeros(self.latent_shape)
        qs = self.top.distribution(passed["top"]), self.bottom.distribution(passed["bottom"])
        ps = Normal(zeros, zeros), self.prior.distribution(passed["prior"])
        groups = tuple(
            Group(z, q, p, log_q)
            for z, log_q, q, p in zip(passed["z"], passed["log_q"], qs, ps, strict=True)
        )
        px_z = self.likelihood.distribution(passed["likelihood"])
        return Trace(groups, px_z.log_prob(inputs), px_z, inputs, self.sizes)


@registered
class Weighed(Objective):
    """A learned weight w of the loss and a moving average of the KL; an L1 norm of the batch."""

    logged = ("elbo", "kl_average")

    def build(self, data_shape, latent_shape):
        self.w = self.add_weight(shape=(), initializer="ones", name="w")
        self.kl_average = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="kl_average"
        )
        super().build(data_shape, latent_shape)

    def terms(self, trace):
        terms = elbo_terms(trace)
        self.kl_average.assign(0.9 * self.kl_average + 0.1 * ops.mean(terms["kl"]))
        return {
            "loss": -self.w * terms["elbo"],
            "batch_loss": ops.abs(ops.mean(trace.z)) + self.w**2,
            "elbo": terms["elbo"],
            "kl_average": ops.convert_to_tensor(self.kl_average),
        }

    def effective_beta(self, sizes, step=None):
        return 1.0


def vae(posterior=GaussianPosterior, prior=None, conditional=False, objective=None, middle=()):
    """A VAE of these parts on (FEATURES,) data."""
    c = {"c": CONDITIONS} if conditional else {}
    return kelbo.VAE(
        posterior(network({"x": FEATURES, **c}, (LATENT, LATENT), middle=middle), name="posterior"),
        kelbo.GaussianLikelihood(network({"z": LATENT, **c}, (FEATURES,), middle=middle)),
        prior=prior,
        objective=objective,
        seed=0,
    )


def ladder(middle=()):
    """A model of two groups on (FEATURES,) data."""
    return Ladder(
        GaussianPosterior(network({"x": FEATURES}, (LATENT, LATENT), middle=middle)),
        GaussianPosterior(network({"x": FEATURES, "above": LATENT}, (LATENT, LATENT))),
        GaussianPosterior(network({"above": LATENT}, (LATENT, LATENT))),
        kelbo.GaussianLikelihood(network({"z": LATENT}, (FEATURES,))),
        seed=0,
    )


def conditional_vae(middle=()):
    """p(x|z, c), q(z|x, c) and p(z|c)."""
    prior = NetworkPrior(network({"c": CONDITIONS}, (LATENT, LATENT), middle=middle))
    return vae(conditional=True, prior=prior, middle=middle)


MODELS = {
    "conditional": conditional_vae,
    "prior-with-network": lambda middle=(): vae(
        prior=NetworkPrior(network({"constant": 1}, (LATENT, LATENT), middle=middle)),
        middle=middle,
    ),
    "prior-of-the-posterior": lambda middle=(): vae(prior=VampPrior(), middle=middle),
    "flow": lambda middle=(): vae(posterior=CubicPosterior, middle=middle),
    "two-groups": ladder,
    "objective-with-weights": lambda middle=(): vae(objective=Weighed(), middle=middle),
}


def inputs(name, n, seed=1):
    """`n` data for the model of that name."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, FEATURES)).astype("float32")
    c = np.eye(CONDITIONS, dtype="float32")[generator.integers(CONDITIONS, size=n)]
    return {"x": x, "c": c} if name == "conditional" else x
