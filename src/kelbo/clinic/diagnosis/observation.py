"""One pass of data through a model: all that the checks read."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.beta import explain_beta
from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.log_prob import log_prob
from kelbo.clinic.diagnosis.loss_weights import LossWeights
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.distributions import (
    Normal,
    has_closed_form,
    has_kl_per_dimension,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.distributions.distribution import Distribution
from kelbo.evaluation.activity import ACTIVE_ABOVE

# Codes that carry fewer nats about x are no codes.
NOTHING_IN_Z = 0.1


@dataclass(frozen=True)
class Observation:
    """One pass of data through a model, as arrays, in nats.

    Everything that needs p(x|z) is None if the p(x|z) of the model is not known.

    Attributes:
        x: the data to reconstruct, (n, *data_shape).
        mu: means of q(z|x), (n, latent_dim); a z of higher rank is flattened.
        log_var: logarithms of the variances of q(z|x), (n, latent_dim); None for an autoencoder.
            Both are estimated from draws where q(z|x) has them not in closed form.
        kl: the KL, averaged over the data: in closed form, otherwise estimated with one draw of z
            for each datum; None for an autoencoder.
        kl_per_dimension: the KL of each latent dimension, averaged over the data, (latent_dim,);
            None where it has no closed form.
        observed: which values of x count, as bool that broadcasts against x; None where all do.
        p: p(x|z), z drawn from q(z|x).
        log_px_z: log p(x|z), (n,).
        log_px_other_z: log p(x|z) with the z of another datum, (n,).
        floor: the mean log-probability, in nats, that p(x|z) reaches where it is the same for
            every datum and fits these data best; None where that is not known.
        decoder_is_deaf: whether the z of another datum gives the same output to the last digit.
        loss_weights: the measured weights, or None.
        effective_beta: the measured one, else the one that the model states, or None; never NaN.
        kl_of_epochs: the KL of each epoch of the training, if it is known.
        kl_can_warm_up: whether the KL has a weight of its own that may rise from 0.
    """

    x: np.ndarray
    mu: np.ndarray
    log_var: np.ndarray | None
    kl: float | None = None
    kl_per_dimension: np.ndarray | None = None
    observed: np.ndarray | None = None
    p: Distribution | None = None
    log_px_z: np.ndarray | None = None
    log_px_other_z: np.ndarray | None = None
    floor: float | None = None
    decoder_is_deaf: bool = False
    loss_weights: LossWeights | None = None
    effective_beta: float | None = None
    kl_of_epochs: tuple[float, ...] = ()
    kl_can_warm_up: bool = True

    @property
    def is_finite(self) -> bool:
        """Whether mu, log_var, the KL and log p(x|z) are finite, so that figures mean something."""
        arrays = (self.mu, self.log_var, self.kl, self.log_px_z)
        return all(array is None or bool(np.isfinite(array).all()) for array in arrays)

    @property
    def activity(self) -> np.ndarray:
        """The variance of each posterior mean over the data, (latent_dim,)."""
        with np.errstate(invalid="ignore"):  # NaN where mu is infinite
            return self.mu.var(axis=0, dtype="float64")

    @property
    def active(self) -> np.ndarray:
        """The indices of the active dimensions."""
        return np.flatnonzero(self.activity > ACTIVE_ABOVE)

    @property
    def nats_from_z(self) -> float | None:
        """The nats by which a datum's own z explains it better than another's z.

        None if p(x|z) is not known, or the difference is not finite.
        """
        if self.log_px_z is None or self.log_px_other_z is None:
            return None
        return finite(np.mean(self.log_px_z - self.log_px_other_z))

    @property
    def elbo(self) -> float | None:
        """The ELBO in nats, with one draw of z for each datum."""
        if self.log_px_z is None or self.kl is None:
            return None
        return float(self.log_px_z.mean()) - self.kl

    @property
    def nats_in_z(self) -> float:
        """The nats about x that codes can carry: the capacity of a Gaussian channel.

        The variance of mu over the data is the signal, the mean variance of the posterior the noise
        (Cover and Thomas, "Elements of Information Theory", 2006, section 9.1).
        """
        if self.log_var is None:
            return np.inf if len(self.active) else 0.0
        noise = np.exp(self.log_var.astype("float64")).mean(axis=0)
        # Noise of 0 beside a signal of 0 carries nothing.
        tells = self.activity > 0.0
        with np.errstate(divide="ignore"):
            return float(0.5 * np.log1p(self.activity[tells] / noise[tells]).sum())

    @property
    def collapsed(self) -> bool:
        """Whether no dimension is active and the codes carry nothing about x.

        Means that vary little still carry something if the variances are smaller yet.
        """
        return not len(self.active) and self.nats_in_z < NOTHING_IN_Z

    @property
    def is_constant(self) -> bool:
        """Whether mu is the same for every x, or x for every z, to the last digit.

        No training leads there: a network does not get its input, or loses it on the way.
        """
        return self.decoder_is_deaf or not self.activity.any()

    @property
    def beta_is_above_1(self) -> bool:
        """Whether the KL counts notably more than in the ELBO."""
        beta = self.effective_beta
        return beta is not None and beta > 1.0 and bool(explain_beta(beta))

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of a diagnosis, under the names of evaluation.json.

        A figure that is not known or not finite is left out. `reconstruction` is computed with one
        draw of z for each datum.
        """
        reconstruction = None if self.log_px_z is None else float(self.log_px_z.mean())
        each = self.kl_per_dimension
        weights = self.loss_weights
        figures = {
            "elbo": self.elbo,
            "reconstruction": reconstruction,
            "kl": self.kl,
            "kl_per_dimension": None if each is None else each.tolist(),
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
        data: at least two, in one batch; the target has the shape that p(x|z) takes.
        likelihood: the name of p(x|z) in `subject.likelihoods`, or None.
        loss_weights: the measured weights, or None.
        kl_of_epochs: the KL of each epoch of the training, if it is known.
        seed: for the draws of z.
    """
    mu, log_var = subject.encode(data.x, data.conditions)
    z, q, log_q = mu, None, None
    if subject.q is not None:
        q = subject.q(subject.outputs(data.x, data.conditions))
        z, log_q = map(ops.convert_to_numpy, q.sample_and_log_prob(seed))
    elif log_var is not None:
        epsilon = np.random.default_rng(seed).standard_normal(mu.shape, "float32")
        # A check looks for an exponential that overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            z = mu + np.exp(0.5 * log_var) * epsilon
        q = Normal(mu, log_var, mu.ndim - 1)
    kl = kl_per_dimension = None
    if q is not None and subject.prior is not None:
        kl, kl_per_dimension = _kl(q, subject.prior(data.x, data.conditions), z, log_q)
    p = log_px_z = log_px_other_z = floor = None
    # Each datum keeps its own condition: only z is another's.
    own, others = (subject.decode(code, data.conditions) for code in (z, np.roll(z, 1, axis=0)))
    flat = zip(keras.tree.flatten(own), keras.tree.flatten(others), strict=True)
    is_deaf = all(np.array_equal(one, other) for one, other in flat)
    if likelihood is not None:
        make = subject.likelihoods[likelihood]
        p = make(own)
        log_px_z = log_prob(p, data.target, data.observed)
        log_px_other_z = log_prob(make(others), data.target, data.observed)
        # The best constant of data that are masked in part is not known.
        floor = _floor(p, data.target) if data.observed is None else None
    stated = subject.declared_beta
    if loss_weights is not None:
        stated = loss_weights.effective_beta
    return Observation(
        x=data.target,
        mu=_rows(mu),
        log_var=None if log_var is None else _rows(log_var),
        kl=kl,
        kl_per_dimension=kl_per_dimension,
        observed=data.observed,
        p=p,
        log_px_z=log_px_z,
        log_px_other_z=log_px_other_z,
        floor=floor,
        decoder_is_deaf=is_deaf,
        loss_weights=loss_weights,
        effective_beta=None if stated is None else finite(stated),
        kl_of_epochs=kl_of_epochs,
        kl_can_warm_up=subject.kl_can_warm_up,
    )


def _kl(
    q: Distribution, p: Distribution, z: np.ndarray, log_q: np.ndarray | None
) -> tuple[float, np.ndarray | None]:
    """KL(q || p), averaged over the data, and of each dimension where it has a closed form.

    Args:
        q: q(z|x).
        p: p(z).
        z: a draw of each datum.
        log_q: its log q(z|x), where that came with the draw.
    """
    if has_kl_per_dimension(q, p):
        each = _rows(ops.convert_to_numpy(kl_per_dimension(q, p))).mean(axis=0, dtype="float64")
        return float(each.sum()), each
    if has_closed_form(q, p):
        whole = kl_divergence(q, p)
    else:
        whole = ops.subtract(q.log_prob(z) if log_q is None else log_q, p.log_prob(z))
    return float(ops.convert_to_numpy(whole).mean(dtype="float64")), None


def _floor(p: Distribution, x: np.ndarray) -> float | None:
    """The mean log-probability of data under the best constant of p(x|z), in nats."""
    best = p.best_constant(x)
    return None if best is None else finite(log_prob(best, x).mean())


def finite(value: Any) -> float | None:
    """A number, or None in the place of NaN and infinity, which no check may compare."""
    return float(value) if np.isfinite(value) else None


def _rows(latent: np.ndarray) -> np.ndarray:
    return latent.reshape(len(latent), -1)
