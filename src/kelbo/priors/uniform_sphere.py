"""The uniform prior on the unit sphere."""

import keras

from kelbo.distributions import UniformSphere
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.posteriors import Posterior
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class UniformSpherePrior(Prior):
    """Uniform on the unit sphere S^(d-1) in R^d: the prior of `VonMisesFisherPosterior`.

    Davidson et al., "Hyperspherical variational auto-encoders", 2018, section 3.
    """

    def check_posterior(self, posterior: Posterior) -> None:
        """Refuse a posterior whose draws are not on the sphere.

        Raises:
            UsageError: with what works instead.
        """
        if not posterior.on_sphere:
            raise UsageError(
                f"A UniformSpherePrior has no density off the unit sphere, where a "
                f"{type(posterior).__name__} draws z: no KL of one from the other exists. Use "
                "posterior=kelbo.VonMisesFisherPosterior(encoder_network, latent_dim=16), or "
                "prior=kelbo.StandardNormalPrior()."
            )

    def distribution(self, parameters: dict[str, Tensor]) -> UniformSphere:
        """Uniform in as many dimensions as z has."""
        return UniformSphere(self.latent_shape[0])
