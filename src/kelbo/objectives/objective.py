"""The contract of an objective: what is minimised, and what is logged."""

import abc
from typing import Any

import keras
from keras import ops

from kelbo.conditional import float32_layer
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


class Objective(keras.Layer, abc.ABC):
    """Computes the loss of a model from a trace alone.

    It is a layer, so that it may have weights: a multiplier, a moving average, a critic. They are
    made in `build(data_shape, latent_shape)`, trained with the model's, saved and loaded.

    `terms` makes the loss of a trace. Besides, an objective may say which parts it does not go
    with (`check`), ask for the number of training data (`prepare`), and change what the encoder
    sees in training (`corrupted`).

    Attributes:
        logged: the names of the terms that training reports, fixed at construction, because Keras
            does not accept a metric that first appears during a training step.
        sample_shape: sample axes of z that it wants in the trace.
        scheduled: whether a term depends on the number of training steps taken.
    """

    logged: tuple[str, ...]
    sample_shape: tuple[int, ...] = ()
    scheduled: bool = False

    def __init__(self, **kwargs: Any):
        super().__init__(**float32_layer(type(self).__name__, {"name": "objective", **kwargs}))

    def build(self, data_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        """Make the weights; there are none.

        Args:
            data_shape: shape of one datum.
            latent_shape: shape of one z; of the top group where there are several.
        """
        self.built = True

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse parts that this objective makes no sense with; called when a model takes it.

        A model of several groups of latents, which has other parts, does not ask.

        Args:
            posterior: q(z|x).
            likelihood: p(x|z).
            prior: p(z), or None of an autoencoder.

        Raises:
            UsageError: with the reason, and the nearest thing that works.
        """

    def prepare(self, count: int | None) -> None:
        """Take the number of training data before a step, for an objective that depends on it.

        Args:
            count: of the data that `fit` is about to train on; None where it is not known.

        Raises:
            UsageError: it is wanted, and was never known.
        """

    def corrupted(self, x: Tensor, seed: Any) -> Tensor:
        """What the encoder sees of the data in a training step: (batch, *data_shape).

        The loss judges the clean data, and so does evaluation.

        Args:
            x: the data.
            seed: a `keras.random.SeedGenerator` of the model's, for what is drawn.
        """
        return x

    @abc.abstractmethod
    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """The terms of the loss, and a (batch,) or a scalar for every name in `logged`.

        The loss that is minimised is the mean of "loss", (batch,), weighted by the sample weights,
        plus "batch_loss", a scalar that no sample weight scales: what cannot be told datum by
        datum, such as a distance between batches. One of the two may be left out.

        `elbo`, where there is one, is the bound on log p(x) in nats, whatever the loss is.
        """

    @abc.abstractmethod
    def effective_beta(self, sizes: Sizes, step: Any = None) -> float | None:
        """The weight of the KL against the ELBO's.

        None where there is no KL, or where no one number says how it counts; `in_words` then says
        what takes its place.

        Args:
            sizes: of the model's data and latents.
            step: with a schedule, the training steps taken; None asks for where it ends.
        """

    @property
    def settles(self) -> bool:
        """Whether the weight of the KL stays the same from some training step on."""
        return True

    def in_words(self) -> str:
        """What it is called where a training begins; empty for the ELBO, which all expect."""
        return ""


def check_has_kl(objective: str, posterior: Posterior, prior: Prior | None) -> None:
    """Refuse an objective with log q(z|x) or log p(z) for a model that lacks one of them.

    Args:
        objective: its name.
        posterior: q(z|x).
        prior: p(z), or None.

    Raises:
        UsageError: with the way out.
    """
    if prior is None:
        raise UsageError(
            f"{objective} needs a prior p(z), and an autoencoder has none. Use kelbo.VAE, or an "
            "objective without KL, such as kelbo.Reconstruction."
        )
    if isinstance(posterior, DeterministicPosterior):
        raise UsageError(
            f"{objective} needs the density q(z|x), and a {type(posterior).__name__} has none: all "
            "its mass is on one point. Use kelbo.GaussianPosterior, or the objective kelbo.WAE, "
            "which compares draws of z with draws of the prior."
        )


def mean_over_samples(tensor: Tensor) -> Tensor:
    """The mean over the sample axes: (S..., batch) -> (batch,)."""
    sample_axes = tuple(range(len(tensor.shape) - 1))
    return ops.mean(tensor, axis=sample_axes) if sample_axes else tensor


def elbo_terms(trace: Trace) -> dict[str, Tensor]:
    """The ELBO and its two parts in nats, each (batch,): elbo = reconstruction - kl.

    `reconstruction` is E_q[log p(x|z)], estimated with the trace's samples.

    Raises:
        UsageError: the trace has no KL.
    """
    kl = trace.kl
    if kl is None:
        raise UsageError(
            "The trace of an autoencoder has no KL, so it has no ELBO. Use kelbo.VAE, or the "
            "objective kelbo.Reconstruction."
        )
    reconstruction = mean_over_samples(trace.log_px_z)
    kl = mean_over_samples(kl)
    return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


def check_no_prior(objective: str, prior: Prior | None) -> None:
    """Refuse a prior that nothing in a loss would bring z near.

    Raises:
        UsageError: with the way out.
    """
    if prior is not None:
        raise UsageError(
            f"{objective} has no KL, so nothing joins z to the {type(prior).__name__}. Use "
            "kelbo.AE, which has no prior, or an objective that has one, such as kelbo.ELBO or "
            "kelbo.WAE."
        )
