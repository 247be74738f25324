"""The objective of a plain autoencoder: the reconstruction alone."""

from typing import TYPE_CHECKING

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.objectives.objective import Objective, mean_over_samples
from kelbo.trace import Trace

if TYPE_CHECKING:
    from kelbo.model import LatentVariableModel


@keras.saving.register_keras_serializable("kelbo")
class Reconstruction(Objective):
    """loss = -log p(x|z) in nats, summed over all dimensions: binary cross-entropy for Bernoulli.

    There is no KL, hence no bound and no effective beta.
    """

    logged = ("reconstruction",)

    def terms(self, trace: Trace, model: "LatentVariableModel") -> dict[str, Tensor]:
        """Loss and reconstruction = log p(x|z), each (batch,)."""
        reconstruction = mean_over_samples(trace.log_px_z)
        return {"loss": -reconstruction, "reconstruction": reconstruction}

    def effective_beta(self, model: "LatentVariableModel") -> None:
        """None: there is no KL to weigh."""
        return None
