"""The VAE as its authors defined it: the ELBO, with beta 1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kelbo.presets import warmup
from kelbo.presets.option import Option
from kelbo.presets.preset import Preset

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

    from kelbo.vae import VAE

BETA = Option("beta", float, 1.0, "Weight of the KL; 1 is the ELBO.", minimum=0.0)


def vae(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    beta: "float | LearningRateSchedule" = BETA.default,
    seed: int | None = None,
    precision: str | None = None,
) -> "VAE":
    """A VAE (Kingma and Welling 2014) with the article's convolutional networks by default.

    Args:
        data_shape: shape of one datum, as (28, 28, 1).
        latent_dim: size of z.
        network: a name in `kelbo.networks.NETWORKS`.
        likelihood: a name in `kelbo.presets.parts.LIKELIHOODS`.
        beta: weight of the KL, or a schedule.
        seed: of the noise.
        precision: of the networks, a name in `kelbo.precision.PRECISIONS`; where None, Keras's
            global dtype policy. All that is a probability is float32 always.

    Raises:
        UsageError: an unknown name or an impossible size.
    """
    from kelbo.objectives import ELBO
    from kelbo.presets.parts import gaussian_vae

    return gaussian_vae(data_shape, latent_dim, network, likelihood, precision, ELBO(beta), seed)


PRESET = Preset(
    "vae",
    vae,
    'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
    options=(BETA, warmup.EPOCHS),
)
