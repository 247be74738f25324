"""One pass through the model: every log-probability of the equation, and what else a loss asks."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.distributions.kl import has_closed_form, kl_divergence
from kelbo.errors import UsageError


@dataclass(frozen=True)
class Sizes:
    """How large data and latents are.

    Attributes:
        data_dim: D, the number of values in one datum.
        latent_dim: d, the number of values in z, all groups together.
        dataset_size: N, the number of training data, or None where it is not known.
    """

    data_dim: int
    latent_dim: int
    dataset_size: int | None = None


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
    """

    groups: tuple[Group, ...]
    log_px_z: Tensor
    px_z: Distribution
    x: Tensor
    sizes: Sizes
    context: Mapping[str, Tensor] = field(default_factory=dict)
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    step: Tensor | None = None

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


def _sum(terms: list[Tensor | None]) -> Tensor | None:
    """Their sum; None where one is."""
    return None if any(term is None for term in terms) else functools.reduce(operator.add, terms)
