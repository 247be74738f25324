"""Reconstruction judged by structural similarity in place of log p(x|z)."""

from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import check_has_kl
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.ssim import SCALE_WEIGHTS, WINDOW, most_scales, multi_scale_ssim, ssim
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class StructuralSimilarity(Scheduled):
    """loss = weight (1 - SSIM(x, mean of p(x|z))) + beta KL(q(z|x) || p(z)), the KL in nats.

    Snell et al., "Learning to generate images with perceptual similarity metrics", 2017, equation
    5; with `scales` above 1 it is MS-SSIM. Images in [0, 1]; see `kelbo.objectives.ssim`. Of an
    autoencoder, use beta = 0: there is no KL.

    1 - SSIM is no log-likelihood, so the loss is no bound on log p(x), and beta is in units of
    `weight`. Only the mean of p(x|z) is trained, not a variance that it learns.

    Args:
        weight: of the reconstruction, a number >= 0, or a schedule.
        scales: 1 to 5. Each halves the image, which needs 11 pixels each way at the last.
        beta: of the KL, a number >= 0, or a schedule; 0 leaves the KL out.

    Raises:
        UsageError: an argument is none of these.
    """

    weight: Weight
    beta: Weight

    def __init__(self, weight: Weight = 100.0, scales: int = 1, beta: Weight = 1.0, **kwargs: Any):
        super().__init__({"weight": weight, "beta": beta}, **kwargs)
        if not 1 <= whole("scales", scales) <= len(SCALE_WEIGHTS):
            raise UsageError(f"Expected 1 to {len(SCALE_WEIGHTS)} scales, received {scales}.")
        self.scales = int(scales)
        kl = ("kl",) if self._has_kl else ()
        self.logged = ("reconstruction", "ssim", *kl, *self.scheduled_names)

    @property
    def _has_kl(self) -> bool:
        return self.beta != 0.0

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse data that are no images in [0, 1], or too small, and a KL that there is not.

        Raises:
            UsageError: with the way out.
        """
        name = type(self).__name__
        if self._has_kl and prior is None:
            raise UsageError(f"An autoencoder has no KL: use kelbo.{name}(beta=0.0).")
        if self._has_kl:
            check_has_kl(name, posterior, prior)
        shape, support = likelihood.event_shape, likelihood.support
        if len(shape) != 3:
            raise UsageError(
                f"{name} compares images, (height, width, channels), and the data are of shape "
                f"{shape}. Use kelbo.ELBO."
            )
        if support.low < 0.0 or support.high > 1.0 or support.kind == "classes":
            raise UsageError(
                f"{name} compares images in [0, 1], and the data of a {type(likelihood).__name__} "
                "may be others. Use kelbo.BernoulliLikelihood or ContinuousBernoulliLikelihood."
            )
        of_network = {id(weight) for weight in likelihood.network.trainable_weights}
        if any(id(weight) not in of_network for weight in likelihood.trainable_weights):
            raise UsageError(
                f"{name} trains the mean of p(x|z) alone, and a {type(likelihood).__name__} learns "
                "how far x lies from it. Use kelbo.BernoulliLikelihood."
            )
        most = most_scales(*shape[:2])
        if self.scales > most:
            raise UsageError(
                f"At scale {most + 1} of {self.scales} images of {shape[0]} x {shape[1]} pixels "
                f"are smaller than the window of {WINDOW} x {WINDOW}. "
                + (f"Use scales={most}." if most else "Use kelbo.ELBO.")
            )

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss, reconstruction, ssim and kl, each (batch,)."""
        x, mean = keras.ops.cast(trace.x, "float32"), trace.px_z.mean()
        same = ssim(x, mean) if self.scales == 1 else multi_scale_ssim(x, mean, self.scales)
        loss = self.now("weight", trace.step) * (1.0 - same)
        terms = {"reconstruction": trace.log_px_z, "ssim": same}
        kl = trace.kl if self._has_kl else None
        if kl is not None:
            terms["kl"] = kl
            loss = loss + self.now("beta", trace.step) * kl
        return {"loss": loss, **terms, **self.scheduled_terms(trace.step)}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: the KL is weighed against a similarity, which is not in nats."""
        return None

    def in_words(self) -> str:
        """What is compared, and what the KL is weighed against."""
        kind = "SSIM" if self.scales == 1 else f"MS-SSIM of {self.scales} scales"
        weight, beta = number_at(self.weight), number_at(self.beta)
        return f"{weight:g} (1 - {kind})" + (f" + {beta:g} KL" if self._has_kl else "")

    def get_config(self) -> dict[str, Any]:
        """The weights and the scales."""
        return {**super().get_config(), "scales": self.scales}
