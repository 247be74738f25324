"""What a model does with some data: everything that the checks read."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.beta import explain_beta
from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.loss_weights import LossWeights, log_prob
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.distributions import Normal, has_closed_form, kl_per_dimension
from kelbo.distributions.distribution import Distribution
from kelbo.evaluation.activity import ACTIVE_ABOVE

# Nats that codes must be able to tell of x before they are codes at all.
NOTHING_IN_Z = 0.1


@dataclass(frozen=True)
class Observation:
    """One pass of data through a model, as arrays, in nats.

    What needs p(x|z) is None where it is not known which one a model means.

    Attributes:
        x: the data that are reconstructed, (n, *data_shape).
        mu: means of q(z|x), (n, latent_dim); the values of a z that is an image in one row.
        log_var: logarithms of its variances, likewise; None for an autoencoder.
        kl: the KL of each latent dimension, averaged over the data, (latent_dim,); None where
            there is none, or no closed form of it.
        p: p(x|z), z drawn from q(z|x).
        log_px_z: its logarithm, (n,).
        log_px_other_z: the same with the z of another datum, (n,).
        decoder_is_deaf: whether another datum's z makes no difference at all, to the last digit.
        loss_weights: as measured, or None.
        effective_beta: as measured, otherwise as the model states it, or None.
        kl_of_epochs: the KL of each epoch of the training, where it is known.
        kl_can_warm_up: whether the KL has a weight of its own, that may rise from 0.
    """

    x: np.ndarray
    mu: np.ndarray
    log_var: np.ndarray | None
    kl: np.ndarray | None
    p: Distribution | None = None
    log_px_z: np.ndarray | None = None
    log_px_other_z: np.ndarray | None = None
    decoder_is_deaf: bool = False
    loss_weights: LossWeights | None = None
    effective_beta: float | None = None
    kl_of_epochs: tuple[float, ...] = ()
    kl_can_warm_up: bool = True

    @property
    def is_finite(self) -> bool:
        """Whether everything is, so that figures mean something."""
        arrays = (self.mu, self.log_var, self.kl, self.log_px_z)
        return all(array is None or bool(np.isfinite(array).all()) for array in arrays)

    @property
    def activity(self) -> np.ndarray:
        """The variance over the data of each posterior mean, (latent_dim,)."""
        return self.mu.var(axis=0, dtype="float64")

    @property
    def active(self) -> np.ndarray:
        """The active dimensions, counted from 0."""
        return np.flatnonzero(self.activity > ACTIVE_ABOVE)

    @property
    def nats_from_z(self) -> float | None:
        """How many nats better a datum is explained by its own z than by another's."""
        if self.log_px_z is None or self.log_px_other_z is None:
            return None
        return float(np.mean(self.log_px_z - self.log_px_other_z))

    @property
    def elbo(self) -> float | None:
        """In nats, of one draw of z a datum."""
        if self.log_px_z is None or self.kl is None:
            return None
        return float(self.log_px_z.mean()) - float(self.kl.sum())

    @property
    def nats_in_z(self) -> float:
        """What the codes can tell of x: the capacity of a Gaussian channel in each dimension.

        The mean's variance over the data is its signal, the posterior's mean variance its noise
        (Cover and Thomas, "Elements of Information Theory", 2006, section 9.1).
        """
        if self.log_var is None:
            return np.inf if len(self.active) else 0.0
        noise = np.exp(self.log_var.astype("float64")).mean(axis=0)
        return float(0.5 * np.log1p(self.activity / noise).sum())

    @property
    def collapsed(self) -> bool:
        """Whether no dimension is active and the codes can tell nothing of x.

        Means of a small scale may still tell something, where the variances are smaller yet.
        """
        return not len(self.active) and self.nats_in_z < NOTHING_IN_Z

    @property
    def beta_is_above_1(self) -> bool:
        """Whether the KL counts more than in the ELBO, so much that it is worth a word."""
        beta = self.effective_beta
        return beta is not None and beta > 1.0 and bool(explain_beta(beta))

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of a diagnosis, under the names of evaluation.json.

        What is not known or not finite is left out. `reconstruction` is of one draw of z a datum.
        """
        reconstruction = None if self.log_px_z is None else float(self.log_px_z.mean())
        kl = None if self.kl is None else float(self.kl.sum())
        weights = self.loss_weights
        figures = {
            "elbo": self.elbo,
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_per_dimension": None if self.kl is None else self.kl.tolist(),
            "activity": self.activity.tolist(),
            "active_units": len(self.active),
            "active_dimensions": self.active.tolist(),
            "nats_from_z": self.nats_from_z,
            "effective_beta": self.effective_beta,
            "likelihood": None if weights is None else weights.likelihood,
            "reconstruction_weight": None if weights is None else weights.reconstruction,
            "kl_weight": None if weights is None else weights.kl,
        }
        return {
            name: value
            for name, value in figures.items()
            if value is not None and (isinstance(value, str) or np.isfinite(value).all())
        }


def observe(
    subject: Subject,
    data: Data,
    likelihood: str | None,
    loss_weights: LossWeights | None = None,
    kl_of_epochs: tuple[float, ...] = (),
    seed: int = 0,
) -> Observation:
    """Pass data through a model; the model and its noise stay as they are.

    Args:
        subject: the model.
        data: at least two, in one batch; their target in the shape that the decoder gives.
        likelihood: name of p(x|z) in `subject.likelihoods`, or None.
        loss_weights: as measured, or None.
        kl_of_epochs: the KL of each epoch of the training, where it is known.
        seed: of the draws of z.
    """
    mu, log_var = subject.encode(data.x, data.conditions)
    z, kl = mu, None
    if log_var is not None:
        epsilon = np.random.default_rng(seed).standard_normal(mu.shape, "float32")
        # An exp that overflows is what a check looks for.
        with np.errstate(over="ignore", invalid="ignore"):
            z = mu + np.exp(0.5 * log_var) * epsilon
        q = Normal(_rows(mu), _rows(log_var))
        if subject.prior is not None and has_closed_form(q, subject.prior):
            kl = ops.convert_to_numpy(kl_per_dimension(q, subject.prior)).mean(
                axis=0, dtype="float64"
            )
    p = log_px_z = log_px_other_z = None
    # With its own condition, which is no part of what z tells.
    own, others = (subject.decode(code, data.conditions) for code in (z, np.roll(z, 1, axis=0)))
    flat = zip(keras.tree.flatten(own), keras.tree.flatten(others), strict=True)
    is_deaf = all(np.array_equal(one, other) for one, other in flat)
    if likelihood is not None:
        make = subject.likelihoods[likelihood]
        p, of_others = make(own), make(others)
        log_px_z, log_px_other_z = log_prob(p, data.target), log_prob(of_others, data.target)
    return Observation(
        x=data.target,
        mu=_rows(mu),
        log_var=None if log_var is None else _rows(log_var),
        kl=kl,
        p=p,
        log_px_z=log_px_z,
        log_px_other_z=log_px_other_z,
        decoder_is_deaf=is_deaf,
        loss_weights=loss_weights,
        effective_beta=loss_weights.effective_beta if loss_weights else subject.declared_beta,
        kl_of_epochs=kl_of_epochs,
        kl_can_warm_up=subject.kl_can_warm_up,
    )


def _rows(latent: np.ndarray) -> np.ndarray:
    return latent.reshape(len(latent), -1)
