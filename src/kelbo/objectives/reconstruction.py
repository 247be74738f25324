"""The objective of a plain autoencoder: the reconstruction alone."""

from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.objectives.objective import Objective, mean_over_samples
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class Reconstruction(Objective):
    """loss = -log p(x|z) in nats, summed over all dimensions: binary cross-entropy for Bernoulli.

    There is no KL, hence no bound and no effective beta.
    """

    logged = ("reconstruction",)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and reconstruction = log p(x|z), each (batch,)."""
        reconstruction = mean_over_samples(trace.log_px_z)
        return {"loss": -reconstruction, "reconstruction": reconstruction}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: there is no KL to weigh."""
        return None
