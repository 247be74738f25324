"""Does the KL reach the encoder, and how much does it count?"""

from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.loss_weights import LossWeights
from kelbo.clinic.diagnosis.meanings import GAUSSIAN
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.objectives import explain_beta, format_beta


def check_kl_weight(observation: Observation) -> Finding | None:
    """Find a KL that does not reach the encoder, a wrong sign, or an effective beta far from 1."""
    beta, weights = observation.effective_beta, observation.loss_weights
    if beta is None:
        return None
    figures = {"effective_beta": beta}
    if weights is not None:
        figures |= {"reconstruction_weight": weights.reconstruction, "kl_weight": weights.kl}
    if weights is not None and weights.reconstruction < 0.0:
        also = " So has the KL: the loss is the ELBO, not minus it." if weights.kl < 0.0 else ""
        return Finding(
            name="reconstruction-has-the-wrong-sign",
            severity="error",
            title="The reconstruction has the wrong sign in the loss",
            meaning=(
                "The training makes log p(x|z) as small as it can; the loss can fall for ever."
                f"{also}"
            ),
            cure="loss = -log p(x|z) + KL, which is the negative ELBO: both terms are added.",
            figures=figures,
        )
    if weights is not None and abs(beta) < weights.smallest_beta:
        return Finding(
            name="kl-does-not-reach-the-encoder",
            severity="error",
            title="The KL term does not reach the encoder",
            meaning=(
                "In a training step no gradient of a KL arrives at log_var: the model trains as a "
                "plain autoencoder with noise. Its samples from the prior mean nothing."
            ),
            cure=(
                "Compute the KL of the batch in compute_loss or train_step and add it to the loss "
                "that is returned; do not freeze the encoder; a weight that warms up from 0 must "
                "have begun to rise. `kelbo recipes show 8` is a script that does it."
            ),
            figures=figures,
        )
    if beta < 0.0:
        return Finding(
            name="kl-has-the-wrong-sign",
            severity="error",
            title=f"The KL term has the wrong sign: its effective beta is {format_beta(beta)}",
            meaning="The training makes the KL as large as it can; the loss can fall for ever.",
            cure="KL = -0.5 * sum(1 + log_var - mu^2 - exp(log_var)), and it is added to the loss.",
            figures=figures,
        )
    note = explain_beta(beta)
    if not note or (weights is not None and _is_sum_of_squares(weights)):
        return None
    return Finding(
        name="effective-beta",
        severity="warning",
        title=f"The effective beta is {format_beta(beta)}, not 1",
        meaning=f"{note[0].upper()}{note[1:]}.{_reductions(observation)}",
        cure=(
            "Reduce both terms alike: sum over the values of a datum, sum over the latent "
            "dimensions, average over the batch. Leave it where it is meant, as in a beta-VAE."
        ),
        figures=figures,
    )


def _is_sum_of_squares(weights: LossWeights) -> bool:
    """Whether the loss is a sum of squared errors plus the KL: the ELBO at a variance of 1/2."""
    found = (weights.reconstruction, weights.kl)
    return weights.likelihood == GAUSSIAN and all(
        abs(one - expected) < 0.01 * expected
        for one, expected in zip(found, (2.0, 1.0), strict=True)
    )


def _reductions(observation: Observation) -> str:
    """A sentence that tells means from sums in the loss, if the measured weights show them."""
    weights = observation.loss_weights
    if weights is None:
        return ""
    data_dim, latent_dim = observation.x[0].size, observation.mu.shape[1]
    of_reconstruction = _reduction(weights.reconstruction, data_dim, "values of a datum")
    if weights.likelihood == GAUSSIAN and not of_reconstruction:
        # Without the factor 1/2 a squared error counts twice.
        half = _reduction(0.5 * weights.reconstruction, data_dim, "values of a datum")
        of_reconstruction = half and f"{half} (squared error, twice the log-likelihood)"
    of_kl = _reduction(weights.kl, latent_dim, "latent dimensions")
    if not of_reconstruction or not of_kl:
        return ""
    return f" The reconstruction is {of_reconstruction}, the KL is {of_kl}."


def _reduction(weight: float, size: int, of: str) -> str:
    if abs(weight - 1.0) < 0.01:
        return f"summed over the {size} {of}"
    if abs(weight * size - 1.0) < 0.01:
        return f"averaged over the {size} {of}"
    return ""
