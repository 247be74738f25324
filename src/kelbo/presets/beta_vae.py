"""The beta-VAE: the VAE with a KL that counts more."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kelbo.presets import warmup
from kelbo.presets.preset import Preset
from kelbo.presets.vae import BETA as ANY_BETA
from kelbo.presets.vae import vae

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

    from kelbo.vae import VAE

BETA = replace(ANY_BETA, default=4.0)


def beta_vae(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    beta: "float | LearningRateSchedule" = BETA.default,
    seed: int | None = None,
    precision: str | None = None,
) -> "VAE":
    """A beta-VAE with beta 4 by default (Higgins et al., "beta-VAE", 2017, section 4).

    Arguments and errors are those of `kelbo.presets.vae`.
    """
    return vae(data_shape, latent_dim, network, likelihood, beta, seed, precision)


PRESET = Preset(
    "beta-vae",
    beta_vae,
    'Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational '
    'framework", 2017',
    options=(BETA, warmup.EPOCHS),
)
