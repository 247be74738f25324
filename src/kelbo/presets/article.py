"""The article's VAE, its own weighting of the KL included."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kelbo.presets import warmup
from kelbo.presets.option import Option
from kelbo.presets.preset import Preset
from kelbo.presets.vae import BETA

if TYPE_CHECKING:
    from kelbo.vae import VAE

WEIGHT = Option(
    "weight", float, 1e-4, "In front of the mean KL, beside the mean cross-entropy.", minimum=0.0
)
_OWN = "the article's weighting has its own constant, the option weight"


def article(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    weight: float = WEIGHT.default,
    seed: int | None = None,
    precision: str | None = None,
) -> "VAE":
    """The VAE of Anracom's article (2022): mean BCE + weight * mean KL.

    On 28x28x1 images with 16 latent dimensions its effective beta is 0.0049.

    Args:
        data_shape: shape of one datum, as (28, 28, 1).
        latent_dim: size of z.
        network: a name in `kelbo.networks.NETWORKS`.
        likelihood: a name in `kelbo.presets.parts.LIKELIHOODS`.
        weight: in front of the mean KL; the article's constant -0.5e-4 is 1e-4.
        seed: of the noise.
        precision: of the networks, a name in `kelbo.precision.PRECISIONS`; where None, Keras's
            global dtype policy. All that is a probability is float32 always.

    Raises:
        UsageError: an unknown name or an impossible size.
    """
    from kelbo.objectives import ArticleObjective
    from kelbo.presets.parts import gaussian_vae

    objective = ArticleObjective(weight)
    return gaussian_vae(data_shape, latent_dim, network, likelihood, precision, objective, seed)


PRESET = Preset(
    "article",
    article,
    'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
    options=(WEIGHT,),
    refuses={BETA.name: _OWN, warmup.EPOCHS.name: _OWN},
)
