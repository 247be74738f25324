"""The VAE as its authors defined it: the ELBO, with beta 1."""

from collections.abc import Sequence

from keras.optimizers.schedules import LearningRateSchedule

from kelbo.objectives import ELBO
from kelbo.posteriors import GaussianPosterior
from kelbo.presets.parts import encoder_and_likelihood
from kelbo.vae import VAE


def vae(
    data_shape: Sequence[int],
    latent_dim: int = 16,
    network: str = "conv",
    likelihood: str = "bernoulli",
    beta: float | LearningRateSchedule = 1.0,
    seed: int | None = None,
    precision: str | None = None,
) -> VAE:
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
    encoder, p_of_x = encoder_and_likelihood(data_shape, latent_dim, network, likelihood, precision)
    q_of_z = GaussianPosterior(encoder, latent_dim, name="posterior")
    return VAE(q_of_z, p_of_x, objective=ELBO(beta), seed=seed)
