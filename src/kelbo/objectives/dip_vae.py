"""The DIP-VAE: the covariance of the codes is pulled to the identity."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.example import example
from kelbo.objectives.objective import check_has_kl, elbo_terms
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

_KINDS = ("i", "ii")


@keras.saving.register_keras_serializable("kelbo")
class DIPVAE(Scheduled):
    """Minus the ELBO + off_diagonal sum_(i != j) C_ij^2 + diagonal sum_i (C_ii - 1)^2.

    Kumar, Sattigeri and Balakrishnan, "Variational inference of disentangled latent concepts from
    unlabeled observations", 2018. In kind "i" C is the covariance of the means of q(z|x) (equation
    6); in "ii" that of the draws, which adds the mean of the variances of q(z|x) to the diagonal
    (equation 7). Both of the data of a step, divided by their number; of each replica's where there
    are several.

    The regulariser is a loss of the whole batch, which sample weights do not scale.

    Args:
        kind: "i" or "ii".
        off_diagonal: lambda_od, a number >= 0, or a schedule.
        diagonal: lambda_d, likewise.
        beta: weight of the KL, likewise.

    Raises:
        UsageError: an argument is none of these.
    """

    off_diagonal: Weight
    diagonal: Weight
    beta: Weight

    def __init__(
        self,
        kind: str = "ii",
        off_diagonal: Weight = 10.0,
        diagonal: Weight = 10.0,
        beta: Weight = 1.0,
        **kwargs: Any,
    ):
        weights = {"off_diagonal": off_diagonal, "diagonal": diagonal, "beta": beta}
        super().__init__(weights, **kwargs)
        if kind not in _KINDS:
            raise UsageError(f"Expected the DIP-VAE of kind 'i' or 'ii', received {kind!r}.")
        self.kind = kind
        self.logged = ("elbo", "reconstruction", "kl", "covariance", *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a q(z|x) whose mean, and in kind "ii" whose variance, is not known.

        Raises:
            UsageError: with the way out.
        """
        name = type(self).__name__
        check_has_kl(name, posterior, prior)
        q, _ = example(posterior, prior)
        if not isinstance(q, Normal):
            raise UsageError(
                f"{name} needs the mean and the variance of each dimension of q(z|x), and of a "
                f"{type(q).__name__} they are not known. Use kelbo.GaussianPosterior, or the "
                "objective kelbo.InfoVAE, which needs draws alone."
            )

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the ELBO's terms, each (batch,); the regulariser as batch_loss and covariance.

        `covariance` is what the weights and the squares come to: a scalar.
        """
        terms = elbo_terms(trace)
        q: Normal = trace.q  # type: ignore[assignment]  # see `check`
        size = ops.shape(q.mu)[0]
        mean = ops.reshape(q.mu, (size, -1))
        centred = mean - ops.mean(mean, axis=0)
        covariance = ops.matmul(ops.transpose(centred), centred) / ops.cast(size, "float32")
        identity = ops.eye(trace.sizes.latent_dim, dtype="float32")
        if self.kind == "ii":
            variance = ops.reshape(
                ops.broadcast_to(ops.exp(q.log_var), ops.shape(q.mu)), (size, -1)
            )
            covariance = covariance + identity * ops.mean(variance, axis=0)
        squared = ops.square(covariance - identity)
        step = trace.step
        penalty = self.now("off_diagonal", step) * ops.sum(squared * (1.0 - identity))
        penalty = penalty + self.now("diagonal", step) * ops.sum(squared * identity)
        return {
            "loss": self.now("beta", step) * terms["kl"] - terms["reconstruction"],
            "batch_loss": penalty,
            "covariance": penalty,
            **terms,
            **self.scheduled_terms(step),
        }

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """Beta, the weight of the KL; the regulariser comes on top."""
        return number_at(self.beta, step)

    def in_words(self) -> str:
        """Its kind and weights."""
        weights = (number_at(self.off_diagonal), number_at(self.diagonal))
        return f"DIP-VAE-{self.kind.upper()} with weights {weights[0]:g} and {weights[1]:g}"

    def get_config(self) -> dict[str, Any]:
        """The kind and the weights."""
        return {**super().get_config(), "kind": self.kind}
