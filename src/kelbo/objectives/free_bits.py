"""The ELBO with free bits: a part of the KL below a floor costs nothing."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.distributions.kl import has_kl_per_dimension, kl_per_dimension
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.example import example
from kelbo.objectives.objective import check_has_kl, elbo_terms, mean_over_samples
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

_PER = ("dimension", "group")


@keras.saving.register_keras_serializable("kelbo")
class FreeBits(Scheduled):
    """loss = -E_q[log p(x|z)] + beta sum_j max(lambda, mean over the batch of KL_j), in nats.

    Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016,
    equation 15 (appendix C.8). A part j whose mean KL lies below lambda has no gradient from its
    KL, so that q(z_j|x) is not pushed into the prior before the decoder has learnt to use it.

    The parts are the dimensions of z, for which the KL needs a closed form for each, or the groups
    of latents, of which a VAE has one. The mean is over the data of a step, of each replica's where
    there are several.

    `elbo` is the bound, with the KL counted in full; `free` is the share of the parts that lie
    below the floor.

    Args:
        nats: lambda, a number >= 0, or a schedule. 0 is the ELBO wherever a KL cannot be negative.
        per: "dimension" or "group".
        beta: the weight of the KL, or a schedule.

    Raises:
        UsageError: an argument is none of these.
    """

    nats: Weight
    beta: Weight

    def __init__(
        self, nats: Weight = 0.5, per: str = "dimension", beta: Weight = 1.0, **kwargs: Any
    ):
        super().__init__({"nats": nats, "beta": beta}, **kwargs)
        if per not in _PER:
            raise UsageError(f"Expected free bits per 'dimension' or 'group', received {per!r}.")
        self.per = per
        self.logged = ("elbo", "reconstruction", "kl", "free", *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without KL, and "dimension" where the KL has no closed form for each.

        Raises:
            UsageError: with the way out.
        """
        check_has_kl(type(self).__name__, posterior, prior)
        if self.per == "dimension":
            q, p = example(posterior, prior)
            if p is None or not has_kl_per_dimension(q, p):
                raise _no_closed_form(q, p)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss, elbo, reconstruction and kl, each (batch,); free, a scalar."""
        terms = elbo_terms(trace)
        kl = self._parts(trace)
        nats = self.now("nats", trace.step)
        counts = ops.cast(ops.mean(ops.stop_gradient(kl), axis=0) > nats, "float32")
        # A sum over the data whose mean is sum_j max(nats, mean KL_j), and so is its gradient.
        cost = ops.sum(counts * kl + (1.0 - counts) * nats, axis=-1)
        return {
            "loss": self.now("beta", trace.step) * cost - terms["reconstruction"],
            "free": 1.0 - ops.mean(counts),
            **terms,
            **self.scheduled_terms(trace.step),
        }

    def _parts(self, trace: Trace) -> Tensor:
        """The KL of each part, (batch, parts)."""
        if self.per == "group":
            kl = trace.kl_per_group
            return ops.stack([mean_over_samples(each) for each in ops.unstack(kl, axis=-1)], -1)
        parts = []
        for group in trace.groups:
            if group.p is None or not has_kl_per_dimension(group.q, group.p):
                raise _no_closed_form(group.q, group.p)
            kl = kl_per_dimension(group.q, group.p)  # (S..., batch, *event)
            rank = len(kl.shape) - group.q.event_rank - 1
            kl = ops.mean(kl, axis=tuple(range(rank))) if rank else kl
            parts.append(ops.reshape(kl, (ops.shape(kl)[0], -1)))
        return ops.concatenate(parts, axis=-1)

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """Beta, which is the weight of every part above the floor; below, a part weighs nothing."""
        return number_at(self.beta, step)

    def in_words(self) -> str:
        """Its name, the floor and what it is of."""
        nats = number_at(self.nats)
        return f"free bits of {nats:g} nats per {self.per}, below which the KL does not count"

    def get_config(self) -> dict[str, Any]:
        """The weights and what the floor is of."""
        return {**super().get_config(), "per": self.per}


def _no_closed_form(q: Any, p: Any) -> UsageError:
    return UsageError(
        f"Free bits per dimension need the KL of each dimension in closed form, and of "
        f"{type(q).__name__} from {type(p).__name__} there is none. Use per='group', which takes "
        "the KL of all of z."
    )
