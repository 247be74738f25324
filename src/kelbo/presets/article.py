"""The article's VAE, its own weighting of the KL included."""

from collections.abc import Sequence

from kelbo.objectives import ArticleObjective
from kelbo.posteriors import GaussianPosterior
from kelbo.presets.parts import encoder_and_likelihood
from kelbo.vae import VAE


def article(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    weight: float = 1e-4,
    seed: int | None = None,
    precision: str | None = None,
) -> VAE:
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
    encoder, p_of_x = encoder_and_likelihood(data_shape, latent_dim, network, likelihood, precision)
    q_of_z = GaussianPosterior(encoder, latent_dim, name="posterior")
    return VAE(q_of_z, p_of_x, objective=ArticleObjective(weight), seed=seed)
