"""The baseline of every VAE: the same networks without noise and without a KL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kelbo.presets import warmup
from kelbo.presets.preset import Preset
from kelbo.presets.vae import BETA

if TYPE_CHECKING:
    from kelbo.ae import AE

_NO_KL = "an autoencoder has no KL"


def ae(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    seed: int | None = None,
    precision: str | None = None,
) -> "AE":
    """A plain autoencoder: one Dense(latent_dim) on the encoder's features, binary cross-entropy.

    Arguments and errors are those of `kelbo.presets.vae`; there is no beta.
    """
    from kelbo.ae import AE
    from kelbo.posteriors import DeterministicPosterior
    from kelbo.presets.parts import encoder_and_likelihood

    encoder, p_of_x = encoder_and_likelihood(data_shape, latent_dim, network, likelihood, precision)
    return AE(DeterministicPosterior(encoder, latent_dim, name="posterior"), p_of_x, seed=seed)


PRESET = Preset(
    "ae",
    ae,
    'the baseline of Anracom, "Variational Autoencoder with Tensorflow", 2022',
    refuses={BETA.name: _NO_KL, warmup.EPOCHS.name: _NO_KL},
)
