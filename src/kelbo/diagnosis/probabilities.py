"""Does a cross-entropy of probabilities get any?"""

import keras
import numpy as np
from keras import ops

from kelbo.diagnosis.data import Data
from kelbo.diagnosis.finding import Finding
from kelbo.diagnosis.subject import PROBABILITIES, Subject

# Outputs that are no probabilities by more than rounding.
_TOLERANCE = 1e-3
# Where a decoder is brought to: away from the clips of a cross-entropy, at 0 and 1.
_LOW, _HIGH = 0.1, 0.9
# Powers of two that its last kernel is tried with, the largest first.
_EXPONENTS = range(8, -24, -1)
# Outputs that vary less cannot tell a cross-entropy from a squared error.
_LEAST_SPREAD = 0.02


def check_probabilities(subject: Subject, data: Data, likelihood: str) -> Finding | None:
    """Find a decoder whose outputs lie outside [0, 1] in a cross-entropy of probabilities.

    Args:
        subject: the model.
        data: at least two, all that are looked at.
        likelihood: name of p(x|z) in `subject.likelihoods`.
    """
    if likelihood != PROBABILITIES:
        return None
    outputs = _outputs(subject, data)
    outside = float(np.mean((outputs < -_TOLERANCE) | (outputs > 1.0 + _TOLERANCE)))
    if not outside:
        return None
    low, high = float(outputs.min()), float(outputs.max())
    return Finding(
        name="no-probabilities",
        severity="error",
        title="The loss takes the decoder's outputs for probabilities, and they are none",
        meaning=(
            f"They reach from {low:.3g} to {high:.3g}, and {outside:.1%} of them lie outside "
            "[0, 1]. A cross-entropy clips those to 0 or 1, where they have no gradient, and its "
            "value is no likelihood."
        ),
        cure=(
            'End the decoder with activation="sigmoid"; or with none, and tell the loss that it '
            "gets logits, BinaryCrossentropy(from_logits=True)."
        ),
        figures={"smallest_output": low, "largest_output": high},
    )


def bring_between_0_and_1(subject: Subject, data: Data) -> bool:
    """Move the last weights of a decoder that gives other values, until it gives probabilities.

    There a cross-entropy has slopes. The outputs stay spread, which tells it from a squared error.

    Returns:
        Whether that was done: the decoder gave other values, and they follow a kernel and a bias.
    """
    outputs = _outputs(subject, data)
    last = next((layer for layer in reversed(subject.layers) if _is_affine(layer)), None)
    if (outputs.min() >= 0.0 and outputs.max() <= 1.0) or last is None:
        return False
    kernel = np.array(ops.convert_to_numpy(last.kernel), copy=True)
    last.bias.assign(np.full(last.bias.shape, 0.5 * (_LOW + _HIGH)))
    for exponent in _EXPONENTS:
        last.kernel.assign(kernel * 2.0**exponent)
        outputs = _outputs(subject, data)
        if outputs.min() >= _LOW and outputs.max() <= _HIGH:
            return bool(outputs.std() >= _LEAST_SPREAD)
    return False


def _outputs(subject: Subject, data: Data) -> np.ndarray:
    """What the decoder makes of mu."""
    mu, _ = subject.encode(data.x, data.conditions)
    return np.asarray(keras.tree.flatten(subject.decode(mu, data.conditions))[0])


def _is_affine(layer: keras.Layer) -> bool:
    return all(getattr(layer, name, None) is not None for name in ("kernel", "bias"))
