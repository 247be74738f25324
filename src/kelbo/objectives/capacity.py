"""The ELBO with a capacity: the KL is held at a target that rises during training."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import check_has_kl, elbo_terms
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class Capacity(Scheduled):
    """loss = -E_q[log p(x|z)] + gamma |KL(q(z|x) || p(z)) - C|, in nats.

    Burgess et al., "Understanding disentangling in beta-VAE", 2018, equation 8, with C rising from
    0 to `capacity`, as in `Capacity(LinearWarmup(100_000, 25.0))`. Its minimum is where KL = C.

    The difference is taken for each datum. `elbo` is the bound, with the KL counted once.

    Args:
        capacity: C in nats, a number >= 0, or a schedule.
        gamma: a number >= 0, or a schedule.

    Raises:
        UsageError: one is neither.
    """

    capacity: Weight
    gamma: Weight

    def __init__(self, capacity: Weight = 25.0, gamma: Weight = 1000.0, **kwargs: Any):
        super().__init__({"capacity": capacity, "gamma": gamma}, **kwargs)
        self.logged = ("elbo", "reconstruction", "kl", *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without KL.

        Raises:
            UsageError: with the way out.
        """
        check_has_kl(type(self).__name__, posterior, prior)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss, elbo, reconstruction and kl, each (batch,); what follows a schedule, a scalar."""
        terms = elbo_terms(trace)
        excess = ops.abs(terms["kl"] - self.now("capacity", trace.step))
        loss = self.now("gamma", trace.step) * excess - terms["reconstruction"]
        return {"loss": loss, **terms, **self.scheduled_terms(trace.step)}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: above C the KL weighs gamma, below it -gamma."""
        return None

    def in_words(self) -> str:
        """What takes the place of beta."""
        capacity, gamma = number_at(self.capacity), number_at(self.gamma)
        return f"the KL held at {capacity:g} nats with gamma {gamma:g}"
