"""The plain autoencoder: the baseline that every VAE is compared with."""

from typing import Any

import keras

from kelbo.errors import UsageError
from kelbo.kinds import check_kind
from kelbo.likelihoods import Likelihood
from kelbo.objectives import Objective, Reconstruction
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.single_group import SingleGroup


@keras.saving.register_keras_serializable("kelbo")
class AE(SingleGroup):
    """An autoencoder: z is a function of x, and only the reconstruction counts.

    It has no prior, hence no `sample` and no `log_likelihood`.

    Args:
        posterior: the encoder, as `DeterministicPosterior(encoder_network, latent_dim=16)`.
        likelihood: p(x|z), as `BernoulliLikelihood(decoder_network)`: binary cross-entropy.
        objective: what is minimised; -log p(x|z) where None.
        seed: kept for the symmetry with the VAE; an autoencoder draws nothing.

    Raises:
        UsageError: the posterior draws z at random, or the shapes of the parts do not fit together.
    """

    def __init__(
        self,
        posterior: DeterministicPosterior,
        likelihood: Likelihood,
        objective: Objective | None = None,
        seed: int | None = None,
        name: str = "ae",
        **kwargs: Any,
    ):
        check_kind(posterior, Posterior)
        if not isinstance(posterior, DeterministicPosterior):
            raise UsageError(
                f"The code of an autoencoder is a point, and a {type(posterior).__name__} draws z "
                "at random. Use kelbo.DeterministicPosterior(encoder_network, latent_dim=16), or "
                "kelbo.VAE, which has a prior."
            )
        objective = Reconstruction() if objective is None else objective
        super().__init__(posterior, likelihood, None, objective, seed, name=name, **kwargs)
