"""Are pixels predicted with a certainty that costs more than it gains?"""

import numpy as np
from keras import ops

from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.distributions import Bernoulli

# Beyond about this logit the sigmoid is 0 or 1 in float32, or clipped by Keras: no gradient.
_SATURATED = 15.0
# The part of the reconstruction that certain and wrong pixels may cost.
_TOLERATED = 0.05


def check_saturation(observation: Observation) -> Finding | None:
    """Find Bernoulli probabilities of 0 and 1 that are wrong.

    A pixel may be certain and right: the corners of MNIST's images are always black.
    """
    p, log_px_z = observation.p, observation.log_px_z
    if not isinstance(p, Bernoulli) or log_px_z is None:
        return None
    certain = np.abs(ops.convert_to_numpy(p.logits)) > _SATURATED
    if observation.observed is not None:
        certain &= observation.observed
    cost = -ops.convert_to_numpy(p.log_prob_per_dimension(observation.x))
    nats = float(np.where(certain, cost, 0.0).sum(dtype="float64")) / len(cost)
    share = float(certain.mean())
    if nats <= _TOLERATED * -float(log_px_z.mean()):
        return None
    return Finding(
        name="saturated-output",
        severity="warning",
        title=f"Pixels that are certain and wrong cost {nats:.4g} nats a datum",
        meaning=(
            f"{share:.1%} of the pixels have a probability of 0 or 1 to the last digit "
            f"(|logit| > {_SATURATED:g}). Where they are wrong, a sigmoid has no gradient left to "
            "mend them."
        ),
        cure=(
            "Compute the loss from logits (from_logits=True, no sigmoid at the end of the "
            "decoder), lower the learning rate, and check that the data are in [0, 1]."
        ),
        figures={"saturated_share": share, "saturated_nats": nats},
    )
