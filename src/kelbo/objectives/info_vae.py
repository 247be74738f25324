"""The InfoVAE and the Wasserstein autoencoder: all draws of z are compared with the prior."""

from collections.abc import Sequence
from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.mmd import SCALES, check_kernel, check_prior, mmd_to_prior
from kelbo.objectives.objective import check_has_kl, elbo_terms, mean_over_samples
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class InfoVAE(Scheduled):
    """loss = -E_q[log p(x|z)] + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + scale - 1) MMD^2.

    Zhao, Song and Ermon, "InfoVAE: balancing learning and inference in variational autoencoders",
    2019, equation 6, where `scale` is called lambda and the divergence of q(z) from p(z) is the
    MMD; alpha = 1 is the MMD-VAE. The first two terms are in nats; the MMD is a squared distance
    without a unit, estimated from the draws of a batch (of each replica's where there are several)
    and as many draws of the prior, without bias: see `kelbo.objectives.mmd`. It is a loss of the
    whole batch, which sample weights do not scale.

    Args:
        alpha: up to 1; how much of the mutual information of x and z the loss leaves alone.
        scale: lambda, so that alpha + lambda - 1 >= 0, or a schedule; the MMD is small, so it is
            large.
        kernel: "imq" or "rbf".
        scales: of the kernel; 1 is that of two draws of N(0, I).

    Raises:
        UsageError: an argument is none of these.
    """

    scale: Weight

    def __init__(
        self,
        alpha: float = 0.0,
        scale: Weight = 1000.0,
        kernel: str = "rbf",
        scales: Sequence[float] = (1.0,),
        **kwargs: Any,
    ):
        super().__init__({"scale": scale}, **kwargs)
        if not isinstance(alpha, (int, float)) or isinstance(alpha, bool) or not alpha <= 1.0:
            raise UsageError(f"Expected alpha to be a number up to 1, received {alpha!r}.")
        self.alpha = float(alpha)
        if self.alpha + number_at(self.scale) - 1.0 < 0.0:
            raise UsageError(
                "Expected alpha + scale >= 1, the weight of the MMD being alpha + scale - 1, "
                f"received alpha={alpha!r} and scale={number_at(self.scale):g}."
            )
        self.kernel, self.scales = check_kernel(kernel, scales)
        self.logged = ("elbo", "reconstruction", "kl", "mmd", *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without one prior, or without a KL.

        Raises:
            UsageError: with the way out.
        """
        check_has_kl(type(self).__name__, posterior, prior)
        check_prior(type(self).__name__, prior, self.alpha < 1.0)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the ELBO's terms, each (batch,); the weighed MMD as batch_loss, mmd itself."""
        terms = elbo_terms(trace)
        distance = mmd_to_prior(trace, self.kernel, self.scales)
        return {
            "loss": (1.0 - self.alpha) * terms["kl"] - terms["reconstruction"],
            "batch_loss": (self.alpha + self.now("scale", trace.step) - 1.0) * distance,
            "mmd": distance,
            **terms,
            **self.scheduled_terms(trace.step),
        }

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """1 - alpha, the weight of the KL; the MMD comes on top."""
        return 1.0 - self.alpha

    def in_words(self) -> str:
        """What is added to the KL."""
        weight = self.alpha + number_at(self.scale) - 1.0
        return f"InfoVAE with {weight:g} times the MMD of q(z) from p(z)"

    def get_config(self) -> dict[str, Any]:
        """Alpha, lambda and the kernel."""
        own = {"alpha": self.alpha, "kernel": self.kernel, "scales": list(self.scales)}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kelbo")
class WAE(Scheduled):
    """loss = -log p(x|z) + weight MMD^2 of the draws of z from the prior.

    Tolstikhin et al., "Wasserstein auto-encoders", 2018, equation 4 and algorithm 2 (WAE-MMD). The
    cost of a reconstruction is -log p(x|z) in nats: with kelbo.GaussianLikelihood(variance=s) it is
    |x - mu|^2 / (2 s) and a constant, so their lambda for the squared error is 2 s times `weight`.
    There is no KL, and the encoder may be deterministic, as in the paper:
    kelbo.VAE(DeterministicPosterior(...), likelihood, objective=kelbo.WAE()). The MMD is that of
    `InfoVAE`, and as there a loss of the whole batch.

    Args:
        weight: of the MMD, a number >= 0, or a schedule.
        kernel: "imq" or "rbf".
        scales: of the kernel; 1 is that of two draws of N(0, I).

    Raises:
        UsageError: an argument is none of these.
    """

    weight: Weight

    def __init__(
        self,
        weight: Weight = 100.0,
        kernel: str = "imq",
        scales: Sequence[float] = SCALES,
        **kwargs: Any,
    ):
        super().__init__({"weight": weight}, **kwargs)
        self.kernel, self.scales = check_kernel(kernel, scales)
        self.logged = ("reconstruction", "mmd", *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without one prior, and one whose draws do not tell all that it learns.

        Raises:
            UsageError: with the way out.
        """
        check_prior(type(self).__name__, prior, False)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and reconstruction, each (batch,); the weighed MMD as batch_loss, mmd itself."""
        reconstruction = mean_over_samples(trace.log_px_z)
        distance = mmd_to_prior(trace, self.kernel, self.scales)
        return {
            "loss": -reconstruction,
            "batch_loss": self.now("weight", trace.step) * distance,
            "reconstruction": reconstruction,
            "mmd": distance,
            **self.scheduled_terms(trace.step),
        }

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: there is no KL."""
        return None

    def in_words(self) -> str:
        """What takes the place of the KL."""
        return f"WAE with {number_at(self.weight):g} times the MMD of q(z) from p(z)"

    def get_config(self) -> dict[str, Any]:
        """The weight and the kernel."""
        return {**super().get_config(), "kernel": self.kernel, "scales": list(self.scales)}
