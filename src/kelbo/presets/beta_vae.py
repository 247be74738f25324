"""The beta-VAE: the VAE with a KL that counts more."""

from collections.abc import Sequence

from keras.optimizers.schedules import LearningRateSchedule

from kelbo.presets.vae import vae
from kelbo.vae import VAE


def beta_vae(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    beta: float | LearningRateSchedule = 4.0,
    seed: int | None = None,
    precision: str | None = None,
) -> VAE:
    """A beta-VAE with beta 4 by default (Higgins et al., "beta-VAE", 2017, section 4).

    Arguments and errors are those of `kelbo.presets.vae`.
    """
    return vae(data_shape, latent_dim, network, likelihood, beta, seed, precision)
