"""Does the decoder listen to z?"""

from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.observation import Observation

# The least nats in z that a decoder can listen to, and the least nats that it must gain from them.
_SOMETHING = 0.5
_NOTHING = 0.05


def check_ignored_z(observation: Observation) -> Finding | None:
    """Find a decoder that reconstructs a datum equally well from the z of another datum.

    After a collapse all z are alike, and there is nothing to listen to.
    """
    nats = observation.nats_from_z
    if nats is None or nats >= _NOTHING or observation.nats_in_z < _SOMETHING:
        return None
    wasted = "" if observation.kl is None else f" Its KL of {observation.kl:.4g} nats is lost."
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
