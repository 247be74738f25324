"""The contractive autoencoder: a code that changes little where x does."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.example import example
from kelbo.objectives.jacobian import check_rows_are_independent, squared_jacobian_norm
from kelbo.objectives.objective import Objective
from kelbo.objectives.weight import Weight, number_at
from kelbo.objectives.wrapper import Wrapper
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Trace


@keras.saving.register_keras_serializable("kelbo")
class Contractive(Wrapper):
    """Another objective + weight |dh/dx|^2, the squared Frobenius norm of the encoder's Jacobian.

    Rifai et al., "Contractive auto-encoders", 2011, equation 2; h(x) is the mean of q(z|x), which
    of an autoencoder is the code. The norm is estimated without bias by one gradient for each
    datum, of the code times random signs (Hutchinson), whatever the size of the code; the exact
    norm would take one for each of its dimensions. The encoder runs once more in each step.

    `contraction` is the estimate, a squared change of the code for a change of x.

    Args:
        weight: a number >= 0, or a schedule.
        objective: the other; kelbo.Reconstruction where None.

    Raises:
        UsageError: an argument is none of these.
    """

    weight: Weight

    def __init__(self, weight: Weight = 0.1, objective: Objective | None = None, **kwargs: Any):
        super().__init__(objective, {"weight": weight}, ("contraction",), **kwargs)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a q(z|x) without a mean, and an encoder that mixes the data of a batch.

        Raises:
            UsageError: with the way out.
        """
        super().check(posterior, likelihood, prior)
        check_rows_are_independent(type(self).__name__, posterior)
        q, _ = example(posterior, prior)
        try:
            q.mean()
        except UsageError:
            raise UsageError(
                f"{type(self).__name__} contracts the mean of q(z|x), and that of a "
                f"{type(q).__name__} has no closed form. Use kelbo.GaussianPosterior or kelbo.AE."
            ) from None

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """The other's terms, the loss larger by the contraction, (batch,)."""
        terms = super().terms(trace)

        def code(x: Tensor) -> Tensor:
            return trace.encode(x).mean()

        norm = squared_jacobian_norm(code, ops.cast(trace.x, "float32"), trace.seed)
        loss = terms.get("loss", 0.0) + self.now("weight", trace.step) * norm
        return {**terms, "loss": loss, "contraction": norm}

    def change(self) -> str:
        """The weight."""
        return f"the encoder's Jacobian weighed {number_at(self.weight):g}"
