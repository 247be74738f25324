"""The evidence lower bound, with a weight beta on the KL."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods import Likelihood
from kelbo.objectives.estimators import check_gradient, check_path_gradient, path_log_weights
from kelbo.objectives.objective import check_has_kl, elbo_terms, mean_over_samples
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

_GRADIENTS = ("reparameterised", "stl")


@keras.saving.register_keras_serializable("kelbo")
class ELBO(Scheduled):
    """loss = -E_q[log p(x|z)] + beta KL(q(z|x) || p(z)), in nats, summed over all dimensions.

    With beta = 1 the loss is minus the ELBO (Kingma and Welling 2014, equation 3). Other values
    are the beta-VAE's (Higgins et al., "beta-VAE", 2017, equation 4).

    With gradient "stl" the encoder learns from the path of z alone: log q(z|x) is taken at the
    draw, its parameters held fixed, so that the term whose expectation is zero is left out. Where
    q(z|x) is exact the gradient is zero for every draw (Roeder, Wu and Duvenaud, "Sticking the
    landing", 2017, equation 8). The loss that is reported is the same.

    Args:
        beta: the weight of the KL, a number >= 0, or a Keras learning-rate schedule of the
            training step that settles, such as `LinearWarmup`. Of one that never settles the
            effective beta means nothing; `current_beta` still does.
        gradient: "reparameterised" or "stl".

    Raises:
        UsageError: beta or gradient is none of these.
    """

    def __init__(self, beta: Weight = 1.0, gradient: str = "reparameterised", **kwargs: Any):
        super().__init__({"beta": beta}, **kwargs)
        self.gradient = check_gradient(gradient, _GRADIENTS, "kelbo.IWAE has 'dreg' too.")
        self.logged = ("elbo", "reconstruction", "kl", *self.scheduled_names)

    beta: Weight

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without a KL, and "stl" of a q(z|x) whose density is not known at any z.

        Raises:
            UsageError: with the way out.
        """
        check_has_kl(type(self).__name__, posterior, prior)
        check_path_gradient(self.gradient, posterior, prior)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss, elbo, reconstruction and kl, each (batch,); with a schedule beta, a scalar."""
        terms = elbo_terms(trace)
        beta = self.now("beta", trace.step)
        loss = beta * terms["kl"] - terms["reconstruction"]
        if self.gradient == "stl":
            # log p(x|z) - beta (log q - log p) with q's parameters fixed, for its gradient alone.
            kl = trace.log_px_z - path_log_weights(trace)
            path = mean_over_samples(beta * kl - trace.log_px_z)
            loss = ops.stop_gradient(loss) + path - ops.stop_gradient(path)
        return {"loss": loss, **terms, **self.scheduled_terms(trace.step)}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float | None:
        """Beta; with a schedule, its value at the step, or where it ends.

        Of a schedule that never settles the end means nothing: see `settles`.
        """
        return number_at(self.beta, step)

    def get_config(self) -> dict[str, Any]:
        """Beta, the gradient and the layer's own settings."""
        return {**super().get_config(), "gradient": self.gradient}
