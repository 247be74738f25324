"""Is the reconstruction better than a model that has no latents?"""

from kelbo.beta import OR_BETA_OF_1, explain_beta
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.loss_weights import log_prob
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.distributions import Normal

# Nats: a decoder that gives the mean image is as good as independent pixels, not worse.
_ROUNDING = 0.01


def check_floor(observation: Observation) -> Finding | None:
    """Find a reconstruction below that of independent pixels with the data's own means.

    A collapsed model comes no further than there, which is said already.
    """
    floor = independent_pixels(observation)
    if floor is None or observation.log_px_z is None or observation.collapsed:
        return None
    reconstruction = float(observation.log_px_z.mean())
    if -reconstruction <= floor + _ROUNDING:
        return None
    other_beta = OR_BETA_OF_1 if observation.beta_is_above_1 else ""
    return Finding(
        name="below-independent-pixels",
        severity="warning",
        title="The reconstruction is worse than that of a model without latents",
        meaning=(
            f"E_q[log p(x|z)] is {reconstruction:.4g} nats; independent pixels with the means of "
            f"these data reach {-floor:.4g}. Nothing is learnt yet of how pixels go together."
        ),
        cure=(
            f"Train longer, on more data, with another learning rate{other_beta}. If it stays so, "
            "the decoder gets something else than z."
        ),
        figures={"reconstruction": reconstruction, "independent_pixels": floor},
    )


def check_elbo(observation: Observation) -> Finding | None:
    """Find a KL that costs more than z gains. Of a normal that depends on the variance chosen."""
    floor, elbo, kl = independent_pixels(observation), observation.elbo, observation.kl
    if floor is None or elbo is None or kl is None or isinstance(observation.p, Normal):
        return None
    if -elbo <= floor + _ROUNDING:
        return None
    beta = observation.effective_beta
    if beta is not None and not explain_beta(beta):
        cure = (
            "Check the KL in the loss, -0.5 * sum(1 + log_var - mu^2 - exp(log_var)): its weight "
            "is right, and the training has not kept it small. If it is right, train longer."
        )
    else:
        cure = "Give the KL the weight of the ELBO: an effective beta of 1. Then train again."
    return Finding(
        name="elbo-below-independent-pixels",
        severity="warning",
        title="As a model of the data it is worse than one without latents",
        meaning=(
            f"The ELBO is {elbo:.4g} nats, of which the KL takes {kl.sum():.4g}; "
            f"independent pixels with the means of these data reach {-floor:.4g}. Samples from the "
            "prior do not look like the data."
        ),
        cure=cure,
        figures={"elbo": elbo, "independent_pixels": floor},
    )


def independent_pixels(observation: Observation) -> float | None:
    """Negative log-likelihood in nats with the mean image in place of the decoder's.

    A Gaussian keeps the variance that the model has. `kelbo.evaluation.floors` has the same of the
    test images under the means of the training images.
    """
    p = observation.p
    if p is None:
        return None
    x = observation.x.astype("float64")
    constant = p.best_constant(x)
    if constant is None:
        return None
    return -float(log_prob(constant, observation.x).mean())
