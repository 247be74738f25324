"""The Gaussian posterior with a full covariance."""

import keras
import numpy as np
from keras import ops

from kelbo.distributions import MultivariateNormal
from kelbo.distributions.distribution import Tensor
from kelbo.posteriors.features import FeaturesPosterior
from kelbo.posteriors.sampling import Sampling


def cholesky_factor(log_diagonal: Tensor, below: Tensor) -> Tensor:
    """A lower-triangular matrix with a positive diagonal: (batch, d, d).

    Args:
        log_diagonal: (batch, d).
        below: what is below the diagonal, row after row: (batch, d (d - 1) / 2).
    """
    d = log_diagonal.shape[-1]
    # Where each entry comes from; those above the diagonal come from a 0 behind the others.
    places = np.full((d, d), below.shape[-1])
    places[np.tril_indices(d, -1)] = np.arange(below.shape[-1])
    padded = ops.concatenate([below, ops.zeros_like(below[..., :1])], axis=-1)
    strictly_below = ops.reshape(ops.take(padded, places.ravel(), axis=-1), (-1, d, d))
    return strictly_below + ops.exp(log_diagonal)[..., None] * ops.eye(d)


def _distribution(parameters: dict[str, Tensor]) -> MultivariateNormal:
    factor = cholesky_factor(parameters["log_diagonal"], parameters["below"])
    return MultivariateNormal(parameters["mu"], factor)


@keras.saving.register_keras_serializable("kelbo")
class FullCovarianceSampling(Sampling):
    """z = mu + L epsilon with fresh epsilon ~ N(0, I) for every sample."""

    def distribution(self, parameters: dict[str, Tensor]) -> MultivariateNormal:
        """N(mu, L L')."""
        return _distribution(parameters)


@keras.saving.register_keras_serializable("kelbo")
class FullCovariancePosterior(FeaturesPosterior):
    """q(z|x) = N(mu, L L'), L lower triangular with the diagonal exp(log_diagonal).

    Kingma and Welling, "An introduction to variational autoencoders", 2019, section 2.5.1. Its KL
    from N(0, I), or from any prior of independent normal dimensions, is in closed form.

    Args:
        network: a keras.Model from x to features, on which kelbo puts three Dense layers without
            activation: `mu`, `log_diagonal` and `below`, what is below the diagonal of L.
        latent_dim: d, the size of z, at least 2.

    Raises:
        UsageError: the network has several outputs, or latent_dim < 2.
    """

    @classmethod
    def head_sizes(cls, latent_dim: int) -> dict[str, int]:
        """Of mu, log_diagonal and below."""
        below = latent_dim * (latent_dim - 1) // 2
        return {"mu": latent_dim, "log_diagonal": latent_dim, "below": below}

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """Mu and log_diagonal, (batch, d) each, and below, (batch, d (d - 1) / 2)."""
        return self.of_heads(outputs)

    def distribution(self, parameters: dict[str, Tensor]) -> MultivariateNormal:
        """N(mu, L L')."""
        return _distribution(parameters)

    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """The sampled point, by a `FullCovarianceSampling` layer."""
        return FullCovarianceSampling(seed, dtype="float32", name=name)(parameters)
