"""Is log_var in the range of a trained posterior?"""

import numpy as np

from kelbo.clinic.diagnosis.finding import Finding, in_row
from kelbo.clinic.diagnosis.observation import Observation

# The prior has 0. Beyond these bounds sigma is over 150 times, or under 1 / 22,000 of, the prior's.
_LARGEST = 10.0
_SMALLEST = -20.0
# From here on exp(log_var) is infinite in float32.
_OVERFLOW = 88.7


def check_log_var(observation: Observation) -> Finding | None:
    """Find a log_var that no trained posterior has."""
    log_var = observation.log_var
    if log_var is None:
        return None
    smallest, largest = float(log_var.min()), float(log_var.max())
    figures = {"smallest_log_var": smallest, "largest_log_var": largest}
    if largest > _LARGEST:
        at = np.flatnonzero((log_var > _LARGEST).any(axis=0)).tolist()
        soon = f"exp(log_var) overflows at {_OVERFLOW}"
        return Finding(
            name="log-var-out-of-range",
            severity="error" if largest > _OVERFLOW else "warning",
            title=f"log_var is as large as {largest:.3g}",
            meaning=(
                f"In the latent dimensions {in_row(at)} the noise drowns every code; "
                f"{soon}, and the loss is NaN then."
            ),
            cure=(
                "Bound it where it is made, keras.ops.clip(log_var, -20, 10), take a tenth of the "
                "learning rate, clip the gradients (keras.optimizers.Adam(clipnorm=1.0))."
            ),
            figures=figures,
        )
    if smallest < _SMALLEST:
        at = np.flatnonzero((log_var < _SMALLEST).any(axis=0)).tolist()
        return Finding(
            name="log-var-out-of-range",
            severity="warning",
            title=f"log_var is as small as {smallest:.3g}",
            meaning=(
                f"In the latent dimensions {in_row(at)} z has practically no noise: "
                "the model is an autoencoder there, and samples from the prior miss its codes."
            ),
            cure="Give the KL more weight: an effective beta of 1.",
            figures=figures,
        )
    return None
