"""The effective beta: how much the KL term counts, measured against the ELBO, where it is 1."""

import math

# What else to try, at the end of a sentence, where another beta is the reason.
OR_BETA_OF_1 = ", or with an effective beta of 1"


def beta_from_mean_weights(weight: float, data_dim: int, latent_dim: int) -> float:
    """The beta of a loss that averages where the ELBO sums.

    With D data dimensions and d latent dimensions

        mean_D(BCE) + w mean_d(KL_j) = (1 / D) [sum BCE + beta sum KL],   beta = w D / d.

    A constant c in front of mean(1 + log_var - mu^2 - exp(log_var)) is w = -2 c.

    Args:
        weight: w.
        data_dim: D, the number of values in one datum.
        latent_dim: d.
    """
    return weight * data_dim / latent_dim


def explain_beta(beta: float) -> str:
    """One line that says what an effective beta means; empty close to 1, where it means nothing.

    Args:
        beta: the effective beta.
    """
    if math.isnan(beta):
        return "it is not a number, and neither is the loss"
    if beta < 0.0:
        return (
            "the KL term has the wrong sign: the loss falls without end as q(z|x) leaves the prior"
        )
    if beta == 0.0:
        return (
            "the KL term does not count at all: a plain autoencoder with noise, whose samples from "
            "the prior mean nothing"
        )
    if beta < 0.1:
        return (
            f"the KL term counts {_times(1.0 / beta)} less than in the ELBO: close to a plain "
            "autoencoder, good reconstructions, poor samples from the prior"
        )
    if beta < 0.8:
        return (
            f"the KL term counts {_times(1.0 / beta)} less than in the ELBO: sharper "
            "reconstructions, samples from the prior suffer"
        )
    if beta <= 1.25:
        return ""
    if beta <= 10.0:
        return (
            f"the KL term counts {_times(beta)} more than in the ELBO: fewer active latent "
            "dimensions, blurrier reconstructions"
        )
    return (
        f"the KL term counts {_times(beta)} more than in the ELBO: expect posterior collapse, the "
        "same image for every input"
    )


def _times(factor: float) -> str:
    digits = 1 if factor < 10.0 else 0
    return f"{factor:,.{digits}f} times"


def format_beta(beta: float) -> str:
    """An effective beta to read: two significant digits below 0.01, else four at most."""
    if beta != 0.0 and abs(beta) < 0.01:
        return f"{beta:.{1 - math.floor(math.log10(abs(beta)))}f}"
    return f"{beta:.4g}"
