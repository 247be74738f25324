"""The sparse autoencoder: each unit of the code is active for few data."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import Objective
from kelbo.objectives.weight import Weight, check_weight, number_at
from kelbo.objectives.wrapper import Wrapper
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.priors import Prior
from kelbo.trace import Trace


@keras.saving.register_keras_serializable("kelbo")
class Sparse(Wrapper):
    """Another objective + weight sum_j KL(Bernoulli(target) || Bernoulli(activity_j)), in nats.

    Ng, "Sparse autoencoder", CS294A lecture notes, 2011, section 3. The activity of unit j is the
    mean over the data of a step (of each replica's where there are several) of its code in (0, 1):
    of kelbo.AE(DeterministicPosterior(..., activation="sigmoid"), ...). It is a loss of the whole
    batch, which sample weights do not scale. A code of which only the k largest units are kept is
    DeterministicPosterior(..., keep=k) (Makhzani and Frey 2014), with any objective.

    Args:
        weight: a number >= 0, or a schedule.
        target: the activity wanted, in (0, 1).
        objective: the other; kelbo.Reconstruction where None.

    Raises:
        UsageError: an argument is none of these.
    """

    weight: Weight

    def __init__(
        self,
        weight: Weight = 1.0,
        target: float = 0.05,
        objective: Objective | None = None,
        **kwargs: Any,
    ):
        super().__init__(objective, {"weight": weight}, ("sparsity", "activity"), **kwargs)
        check_weight(target, "target")
        if not 0.0 < target < 1.0:
            raise UsageError(f"Expected a target activity between 0 and 1, received {target!r}.")
        self.target = float(target)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a code that does not lie in (0, 1).

        Raises:
            UsageError: with the way out.
        """
        super().check(posterior, likelihood, prior)
        sigmoid = isinstance(posterior, DeterministicPosterior) and (
            posterior.activation == "sigmoid"
        )
        if not sigmoid:
            raise UsageError(
                f"{type(self).__name__} needs units that are active or not, a code in (0, 1). Use "
                "kelbo.AE(kelbo.DeterministicPosterior(network, latent_dim, activation='sigmoid'), "
                "likelihood)."
            )

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """The other's terms; the weighed KL as batch_loss, the KL itself and the mean activity."""
        terms = super().terms(trace)
        # A unit that is 0 or 1 for all data in float32 would cost infinitely much.
        activity = ops.clip(ops.mean(trace.q.mean(), axis=0), 1e-6, 1.0 - 1e-6)
        on = self.target * (ops.log(self.target) - ops.log(activity))
        off = (1.0 - self.target) * (ops.log(1.0 - self.target) - ops.log(1.0 - activity))
        kl = ops.sum(on + off)
        batch_loss = terms.get("batch_loss", 0.0) + self.now("weight", trace.step) * kl
        return {**terms, "batch_loss": batch_loss, "sparsity": kl, "activity": ops.mean(activity)}

    def change(self) -> str:
        """The target and its weight."""
        return f"activity held at {self.target:g} with weight {number_at(self.weight):g}"

    def get_config(self) -> dict[str, Any]:
        """The other objective, the weight and the target."""
        return {**super().get_config(), "target": self.target}
