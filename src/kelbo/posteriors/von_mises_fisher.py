"""The von Mises-Fisher posterior: z on the unit sphere."""

import keras
from keras import ops

from kelbo.distributions import VonMisesFisher
from kelbo.distributions.distribution import Tensor
from kelbo.distributions.sphere import on_sphere
from kelbo.posteriors.features import FeaturesPosterior
from kelbo.posteriors.sampling import Sampling


@keras.saving.register_keras_serializable("kelbo")
class VonMisesFisherSampling(Sampling):
    """A fresh draw from the von Mises-Fisher distribution for every sample."""

    def distribution(self, parameters: dict[str, Tensor]) -> VonMisesFisher:
        """The von Mises-Fisher distribution of mu and kappa."""
        return VonMisesFisher(parameters["mu"], parameters["kappa"])


@keras.saving.register_keras_serializable("kelbo")
class VonMisesFisherPosterior(FeaturesPosterior):
    """q(z|x) with density proportional to exp(kappa mu'z) on the unit sphere S^(d-1) in R^d.

    Davidson et al., "Hyperspherical variational auto-encoders", 2018. Its prior is
    `UniformSpherePrior`, the KL from which is in closed form; a `VampPrior` works too. The code
    that a reconstruction decodes is the mean direction mu: the mean itself lies inside the sphere.

    Args:
        network: a keras.Model from x to features, on which kelbo puts two Dense layers without
            activation: `mu`, of which the direction counts, and `kappa`, of which softplus + 1 is
            the concentration, as in the paper's code.
        latent_dim: d, the size of z, at least 2; the sphere has d - 1 dimensions.

    Raises:
        UsageError: the network has several outputs, or latent_dim < 2.
    """

    on_sphere = True

    @classmethod
    def head_sizes(cls, latent_dim: int) -> dict[str, int]:
        """Of the direction and the concentration."""
        return {"mu": latent_dim, "kappa": 1}

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """Mu, (batch, d), of length 1, and kappa, (batch, 1), above 1."""
        raw = self.of_heads(outputs)
        return {"mu": on_sphere(raw["mu"]), "kappa": ops.softplus(raw["kappa"]) + 1.0}

    def distribution(self, parameters: dict[str, Tensor]) -> VonMisesFisher:
        """The von Mises-Fisher distribution of mu and kappa."""
        return VonMisesFisher(parameters["mu"], parameters["kappa"])

    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """The sampled point, by a `VonMisesFisherSampling` layer."""
        return VonMisesFisherSampling(seed, dtype="float32", name=name)(parameters)
