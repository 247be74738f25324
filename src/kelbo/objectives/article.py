"""The article's own weighting of reconstruction and KL, kept to the letter."""

from typing import Any

import keras

from kelbo.beta import beta_from_mean_weights
from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import Objective, check_has_kl, elbo_terms
from kelbo.objectives.weight import check_weight
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class ArticleObjective(Objective):
    """total_loss = mean_D(BCE) + weight * mean_d(KL_j): averages where the ELBO sums.

    Anracom, "Variational Autoencoder with Tensorflow - III", 2022. Its code has the constant
    -0.5e-4 in front of mean(1 + log_var - mu^2 - exp(log_var)), which is weight = 1e-4. The
    metrics `total_loss`, `reco_loss` and `kl_loss` are in the article's units, and
    total_loss = reco_loss + kl_loss; `elbo`, `reconstruction` and `kl` beside them are in nats.

    Args:
        weight: w >= 0 in front of the mean KL.

    Raises:
        UsageError: `weight` is no weight.
    """

    logged = ("elbo", "reconstruction", "kl", "total_loss", "reco_loss", "kl_loss")

    def __init__(self, weight: float = 1e-4, **kwargs: Any):
        super().__init__(**kwargs)
        check_weight(weight, "weight")
        self.weight = float(weight)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without a KL."""
        check_has_kl(type(self).__name__, posterior, prior)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the six logged terms, each (batch,)."""
        terms = elbo_terms(trace)
        reco_loss = -terms["reconstruction"] / trace.sizes.data_dim
        kl_loss = self.weight * terms["kl"] / trace.sizes.latent_dim
        total_loss = reco_loss + kl_loss
        return {
            "loss": total_loss,
            "total_loss": total_loss,
            "reco_loss": reco_loss,
            "kl_loss": kl_loss,
            **terms,
        }

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """weight * D / d: 0.0049 for the article's constant on MNIST with 16 latent dimensions."""
        return beta_from_mean_weights(self.weight, sizes.data_dim, sizes.latent_dim)

    def get_config(self) -> dict[str, Any]:
        """The weight and the layer's own settings."""
        return {**super().get_config(), "weight": self.weight}
