"""The objective of a plain autoencoder: the reconstruction alone."""

from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import Objective, check_no_prior, mean_over_samples
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class Reconstruction(Objective):
    """loss = -log p(x|z) in nats, summed over all dimensions: binary cross-entropy for Bernoulli.

    There is no KL, hence no bound and no effective beta.
    """

    logged = ("reconstruction",)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a prior, which nothing in this loss would bring z near.

        Raises:
            UsageError: with the way out.
        """
        check_no_prior(type(self).__name__, prior)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and reconstruction = log p(x|z), each (batch,)."""
        reconstruction = mean_over_samples(trace.log_px_z)
        return {"loss": -reconstruction, "reconstruction": reconstruction}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: there is no KL to weigh."""
        return None
