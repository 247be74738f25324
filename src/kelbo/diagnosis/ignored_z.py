"""Does the decoder listen to z?"""

import numpy as np

from kelbo.diagnosis.finding import Finding
from kelbo.diagnosis.observation import WORTHLESS_BELOW, Observation

# Nats that z must carry before there is anything to listen to.
_SOMETHING = 0.5


def check_ignored_z(observation: Observation) -> Finding | None:
    """Find a decoder that reconstructs as well from the z of another datum.

    Where the posterior has collapsed, no z is another's, and there is nothing to listen to.
    """
    nats = observation.nats_from_z
    if nats is None or nats >= WORTHLESS_BELOW or nats_in_z(observation) < _SOMETHING:
        return None
    wasted = (
        "" if observation.kl is None else f" Its KL of {observation.kl.sum():.4g} nats is lost."
    )
    return Finding(
        name="decoder-ignores-z",
        severity="error",
        title="The decoder ignores z",
        meaning=(
            f"The encoder gives every datum a code of its own, but the code of another datum "
            f"explains a datum as well, to {nats:.2g} nats.{wasted}"
        ),
        cure=(
            "Check that the decoder's input is z and not another tensor, that no layer of it is "
            "frozen or dead (all negative into a ReLU), and that x does not reach it past z."
        ),
        figures={"nats_from_z": nats},
    )


def nats_in_z(observation: Observation) -> float:
    """What the codes can tell of x: the capacity of a Gaussian channel in each dimension.

    The mean's variance over the data is its signal, the posterior's mean variance its noise
    (Cover and Thomas, "Elements of Information Theory", 2006, section 9.1).
    """
    if observation.log_var is None:
        return np.inf if len(observation.active) else 0.0
    noise = np.exp(observation.log_var.astype("float64")).mean(axis=0)
    return float(0.5 * np.log1p(observation.activity / noise).sum())
