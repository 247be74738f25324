"""The prior that is a mixture of Gaussians with learned means, variances and weights."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions import Mixture, Normal
from kelbo.distributions.distribution import Tensor
from kelbo.kinds import at_least_one
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class MixturePrior(Prior):
    """p(z) = sum_k w_k N(z; mu_k, diag(exp(log_var_k))), all of it learned, of z of any rank.

    Tomczak and Welling, "VAE with a VampPrior", 2018, section 4 (there MoG, with equal weights).
    The means begin as draws from N(0, I), so that no two components are alike, with variances of 1
    and equal weights. The KL is estimated from the draws.

    Args:
        num_components: K.

    Raises:
        UsageError: K is no whole number >= 1.
    """

    def __init__(self, num_components: int = 10, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_components = at_least_one(type(self).__name__, "num_components", num_components)

    def build(self, latent_shape: tuple[int, ...]) -> None:
        """Make the means, log-variances and logits of the weights."""
        count, shape = self.num_components, (self.num_components, *latent_shape)
        self.mu = self.add_weight(shape, keras.initializers.RandomNormal(stddev=1.0), name="mu")
        self.log_var = self.add_weight(shape, "zeros", name="log_var")
        self.logits = self.add_weight((count,), "zeros", name="logits")
        super().build(latent_shape)

    def call(self, context: Any = None, **kwargs: Any) -> dict[str, Tensor]:
        """Mu and log_var, (K, *latent_shape) each, and logits, (K,)."""
        names = ("mu", "log_var", "logits")
        return {name: ops.convert_to_tensor(getattr(self, name)) for name in names}

    def distribution(self, parameters: dict[str, Tensor]) -> Mixture:
        """The mixture."""
        rank = len(self.latent_shape)
        components = {name: parameters[name] for name in ("mu", "log_var")}

        def normal(chosen: dict[str, Tensor]) -> Normal:
            return Normal(chosen["mu"], chosen["log_var"], rank)

        return Mixture(parameters["logits"], components, normal, rank)

    def get_config(self) -> dict[str, Any]:
        """K and the layer's own settings."""
        return {**super().get_config(), "num_components": self.num_components}
