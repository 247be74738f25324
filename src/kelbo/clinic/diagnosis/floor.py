"""Is the reconstruction better than a model that has no latents?"""

from kelbo.beta import OR_BETA_OF_1, explain_beta
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.distributions import Normal

# In nats. A decoder that gives the mean image reaches the floor, but for rounding.
_ROUNDING = 0.01


def check_floor(observation: Observation) -> Finding | None:
    """Find a reconstruction below the best p(x) that is the same for every datum.

    A collapsed model gets no further, and its finding says so already.
    """
    floor = observation.floor
    if floor is None or observation.log_px_z is None or observation.collapsed:
        return None
    reconstruction = float(observation.log_px_z.mean())
    if reconstruction >= floor - _ROUNDING:
        return None
    other_beta = OR_BETA_OF_1 if observation.beta_is_above_1 else ""
    return Finding(
        name="below-independent-pixels",
        severity="warning",
        title="The reconstruction is worse than that of a model without latents",
        meaning=(
            f"E_q[log p(x|z)] is {reconstruction:.4g} nats; {_constant(observation)} reaches "
            f"{floor:.4g}. The model has not learnt yet how the values of a datum go together."
        ),
        cure=(
            f"Train longer, on more data, with another learning rate{other_beta}. If it stays so, "
            "the decoder gets something else than z."
        ),
        figures={"reconstruction": reconstruction, "independent_pixels": -floor},
    )


def check_elbo(observation: Observation) -> Finding | None:
    """Find a KL that costs more than z gains.

    The gain of a normal p(x|z) depends on the chosen variance, so nothing is said about it.
    """
    floor, elbo, kl = observation.floor, observation.elbo, observation.kl
    if floor is None or elbo is None or kl is None or isinstance(observation.p, Normal):
        return None
    if elbo >= floor - _ROUNDING:
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
            f"The ELBO is {elbo:.4g} nats, of which the KL takes {kl:.4g}; "
            f"{_constant(observation)} reaches {floor:.4g}. Samples from the prior do not look "
            "like the data."
        ),
        cure=cure,
        figures={"elbo": elbo, "independent_pixels": -floor},
    )


def _constant(observation: Observation) -> str:
    return f"the best {type(observation.p).__name__} that is the same for every datum"
