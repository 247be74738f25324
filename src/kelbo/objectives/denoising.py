"""Denoising: the encoder sees corrupted data in training, and the loss judges the clean ones."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import Objective
from kelbo.objectives.weight import check_weight
from kelbo.objectives.wrapper import Wrapper
from kelbo.posteriors import Posterior
from kelbo.priors import Prior

CORRUPTIONS = ("masking", "gaussian", "salt-and-pepper")


@keras.saving.register_keras_serializable("kelbo")
class Denoising(Wrapper):
    """Another objective, whose encoder sees x with noise in every training step.

    Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008,
    and for a VAE Im et al., "Denoising criterion for variational auto-encoding framework", 2017:
    kelbo.Denoising(kelbo.ELBO()). The noise is drawn afresh in every step and never in evaluation.

    - "masking": each value is 0 with probability `level`.
    - "gaussian": normal noise of standard deviation `level` is added to each value.
    - "salt-and-pepper": each value is with probability `level` 0 or 1, which are equally likely.

    Args:
        objective: the other; kelbo.Reconstruction where None.
        corruption: one of these.
        level: a probability; of "gaussian" a number >= 0.

    Raises:
        UsageError: an argument is none of these.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        corruption: str = "masking",
        level: float = 0.25,
        **kwargs: Any,
    ):
        super().__init__(objective, {}, **kwargs)
        if corruption not in CORRUPTIONS:
            names = ", ".join(map(repr, CORRUPTIONS))
            raise UsageError(f"Expected a corruption among {names}, received {corruption!r}.")
        check_weight(level, "level")
        if corruption != "gaussian" and level > 1.0:
            raise UsageError(
                f"Expected the level of {corruption!r} from 0 to 1, received {level!r}."
            )
        self.corruption = corruption
        self.level = float(level)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse data that zeros and ones do not belong to, and an encoder that masks x itself.

        Raises:
            UsageError: with the way out.
        """
        super().check(posterior, likelihood, prior)
        support = likelihood.support
        if self.corruption == "salt-and-pepper" and (support.low < 0.0 or support.high > 1.0):
            raise UsageError(
                "Salt and pepper are the ends of [0, 1], and the data of a "
                f"{type(likelihood).__name__} may lie outside. Use corruption='gaussian'."
            )
        if posterior.masks:
            raise UsageError(
                "The encoder masks part of x, and would take corrupted values for padding or "
                "padding for values. Use Denoising with an encoder without Masking."
            )

    def corrupted(self, x: Tensor, seed: Any) -> Tensor:
        """x with noise: (batch, *data_shape)."""
        x = super().corrupted(x, seed)
        x = ops.cast(x, "float32")
        if self.corruption == "gaussian":
            noise = keras.random.normal(ops.shape(x), dtype="float32", seed=seed)
            return x + self.level * noise
        uniform = keras.random.uniform(ops.shape(x), dtype="float32", seed=seed)
        if self.corruption == "masking":
            return ops.where(uniform < self.level, 0.0, x)
        ends = ops.cast(uniform < 0.5 * self.level, "float32")
        return ops.where(uniform < self.level, ends, x)

    def change(self) -> str:
        """The noise and its level."""
        return f"the encoder sees x with {self.corruption} noise of level {self.level:g}"

    def get_config(self) -> dict[str, Any]:
        """The other objective and the noise."""
        return {**super().get_config(), "corruption": self.corruption, "level": self.level}
