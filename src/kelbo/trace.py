"""One pass through the model: every log-probability of the equation, and what else a loss asks."""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Distribution, Factorised, Tensor
from kelbo.distributions.kl import has_closed_form, kl_divergence
from kelbo.errors import UsageError


@dataclass(frozen=True)
class Sizes:
    """How large data and latents are.

    Attributes:
        data_dim: D, the number of values in one datum.
        latent_dim: d, the number of values in z, all groups together.
    """

    data_dim: int
    latent_dim: int


@dataclass(frozen=True)
class Parts:
    """The parts of a model with one group of latents, for objectives that run them again.

    Attributes:
        encode: x, (batch, *data_shape), and the training mode -> q(z|x).
        decode: z, (S..., batch, *latent_shape), and the training mode -> p(x|z).
        decoder: the layer p(x|z), for an objective that weighs its weights.
        seed: a generator of seeds, for what an objective draws.
    """

    encode: Callable[[Tensor, bool], Distribution]
    decode: Callable[[Tensor, bool], Distribution]
    decoder: keras.Layer
    seed: keras.random.SeedGenerator


@dataclass(frozen=True)
class Group:
    """One group of latents: z ~ q(z | x, groups above), judged by p(z | groups above), in nats.

    Each density is computed when it is first asked for: an ELBO whose KL has a closed form needs
    none. An autoencoder has no density on z: there they are None.

    Attributes:
        z: draws, (S..., batch, *event).
        q: the distribution that z is drawn from.
        p: the prior of this group; None of an autoencoder.
        drawn_log_q: log q(z), (S..., batch), where it was found with the draw, as a flow's is.
    """

    z: Tensor
    q: Distribution
    p: Distribution | None = None
    drawn_log_q: Tensor | None = None

    @cached_property
    def log_q(self) -> Tensor | None:
        """log q(z), (S..., batch)."""
        if self.p is None or self.drawn_log_q is not None:
            return self.drawn_log_q
        return self.q.log_prob(self.z)

    @cached_property
    def log_p(self) -> Tensor | None:
        """log p(z), (S..., batch)."""
        return None if self.p is None else self.p.log_prob(self.z)

    @cached_property
    def kl(self) -> Tensor | None:
        """KL(q || p), (batch,) in closed form where the table of `distributions.kl` has it.

        Otherwise its one-sample estimates log q(z) - log p(z), (S..., batch).
        """
        if self.p is not None and has_closed_form(self.q, self.p):
            return kl_divergence(self.q, self.p)
        log_q, log_p = self.log_q, self.log_p
        return None if log_q is None or log_p is None else log_q - log_p


@dataclass(frozen=True)
class Trace:
    """What one pass of data x through a model yields, in nats.

    Attributes:
        groups: the latents, the top group first; a VAE has one.
        log_px_z: log p(x|z), (S..., batch).
        px_z: the distribution p(x|z), for objectives on reconstructions.
        x: the data, (batch, *data_shape).
        context: the conditions by name; empty without.
        extras: terms of a part of the model's own, by name, such as a codebook's.
        sizes: of data and latents.
        step: training steps taken, the present one included; None without a schedule.
        observed: which values of x count, bool (batch, ...); all of them where None.
        training: whether a training step is being taken.
        parts: of the model, with the weights that it has in this step; None where it has several
            groups.
    """

    groups: tuple[Group, ...]
    log_px_z: Tensor
    px_z: Distribution
    x: Tensor
    sizes: Sizes
    context: Mapping[str, Tensor] = field(default_factory=dict)
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    step: Tensor | None = None
    observed: Tensor | None = None
    training: bool = False
    parts: Parts | None = None

    def encode(self, x: Tensor) -> Distribution:
        """q(z|x) of other data than this trace's, in the same training mode.

        Args:
            x: (batch, *data_shape).

        Raises:
            UsageError: the model has several groups of latents; likewise of `decode` and `seed`.
        """
        return self._parts.encode(x, self.training)

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) of other z than this trace's, in the same training mode.

        Args:
            z: (S..., batch, *latent_shape).
        """
        return self._parts.decode(z, self.training)

    @property
    def decoder_weights(self) -> list[keras.Variable]:
        """The weights of p(x|z) that are trained."""
        return self._parts.decoder.trainable_weights

    @property
    def seed(self) -> keras.random.SeedGenerator:
        """A generator of seeds, for what an objective draws."""
        return self._parts.seed

    def log_likelihood(self, px_z: Distribution) -> Tensor:
        """The log-probability of the data under some p(x|z), (S..., batch), in nats.

        What the encoder masks does not count.
        """
        inside = self._parts.decoder.inside
        return log_prob_of_observed(px_z, self.x, self.observed, inside)

    @property
    def _parts(self) -> Parts:
        if self.parts is None:
            raise UsageError(
                "This objective runs the encoder or the decoder a second time, which a model with "
                "several groups of latents does not offer. Use kelbo.VAE or kelbo.AE."
            )
        return self.parts

    @property
    def _only(self) -> Group:
        if len(self.groups) != 1:
            raise UsageError(
                f"This trace has {len(self.groups)} groups of latents: ask each of `trace.groups`."
            )
        return self.groups[0]

    @property
    def z(self) -> Tensor:
        """The draws of the only group, (S..., batch, *event).

        Raises:
            UsageError: there are several groups; likewise of q and p.
        """
        return self._only.z

    @property
    def q(self) -> Distribution:
        """The posterior of the only group."""
        return self._only.q

    @property
    def p(self) -> Distribution | None:
        """The prior of the only group; None of an autoencoder."""
        return self._only.p

    @property
    def log_pz(self) -> Tensor | None:
        """log p(z), the sum over the groups, (S..., batch); None of an autoencoder."""
        return _sum([group.log_p for group in self.groups])

    @property
    def log_qz_x(self) -> Tensor | None:
        """log q(z|x), the sum over the groups, (S..., batch); None of an autoencoder."""
        return _sum([group.log_q for group in self.groups])

    @property
    def kl(self) -> Tensor | None:
        """The sum of the groups' KLs, (batch,) or (S..., batch); None of an autoencoder."""
        return _sum([group.kl for group in self.groups])

    @property
    def kl_per_group(self) -> Tensor | None:
        """The KL of each group, (S..., batch, G); None of an autoencoder."""
        kls = [group.kl for group in self.groups]
        if any(kl is None for kl in kls):
            return None
        total = self.kl  # of the largest rank
        return ops.stack([ops.broadcast_to(kl, ops.shape(total)) for kl in kls], axis=-1)

    @property
    def log_weights(self) -> Tensor:
        """log p(x, z) - log q(z|x) of each draw, (S..., batch): its mean is the ELBO.

        Raises:
            UsageError: the trace is an autoencoder's.
        """
        log_pz, log_qz_x = self.log_pz, self.log_qz_x
        if log_pz is None or log_qz_x is None:
            raise UsageError("The trace of an autoencoder has no prior, so it has no weights.")
        return self.log_px_z + log_pz - log_qz_x


def log_prob_of_observed(
    p: Distribution, x: Tensor, observed: Tensor | None, inside: float | np.ndarray
) -> Tensor:
    """log p(x), of the values that are observed alone: (S..., batch), in nats.

    The others are replaced by what lies inside the support before the density is taken. To leave
    out a density that is NaN is not enough: its gradient would be NaN times 0.

    Args:
        p: p(x|z).
        x: (batch, *event).
        observed: bool, broadcastable to x; None where all are.
        inside: a value in the support, (), or one for each dimension, (*event,).

    Raises:
        UsageError: p cannot leave out part of a datum.
    """
    if observed is None:
        return p.log_prob(x)
    if not isinstance(p, Factorised):
        raise UsageError(
            f"The encoder masks part of x, but a {type(p).__name__} cannot leave out part of a "
            "datum: its dimensions depend on one another. Use a likelihood whose distribution is "
            "kelbo.distributions.Factorised, or an encoder without Masking."
        )
    safe = ops.where(observed, ops.cast(x, "float32"), ops.cast(inside, "float32"))
    return p.sum_event(ops.where(observed, p.log_prob_per_dimension(safe), 0.0))


def _sum(terms: list[Tensor | None]) -> Tensor | None:
    """Their sum; None where one is."""
    return None if any(term is None for term in terms) else functools.reduce(operator.add, terms)
