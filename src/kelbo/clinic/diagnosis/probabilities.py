"""Does a cross-entropy of probabilities get probabilities?"""

import itertools

import keras
import numpy as np
from keras import ops

from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.meanings import PROBABILITIES
from kelbo.clinic.diagnosis.subject import Subject

# Rounding may put a probability this far outside [0, 1].
_TOLERANCE = 1e-3
# The range that outputs are moved to: away from 0 and 1, where a cross-entropy is clipped, and from
# 1/2, where its slopes are proportional to those of a squared error. The first bias suits a tanh or
# no activation, the second a sigmoid.
_LOW, _HIGH = 0.05, 0.45
_BIASES = (0.25, -1.1)
# Powers of two to scale the last kernel with, the largest first.
_EXPONENTS = range(16, -24, -1)
# With outputs that vary less, a cross-entropy looks like a squared error.
_LEAST_SPREAD = 0.02


def check_probabilities(subject: Subject, data: Data, likelihood: str) -> Finding | None:
    """Find a decoder whose outputs lie outside [0, 1] in a cross-entropy of probabilities.

    Args:
        subject: the model.
        data: at least two.
        likelihood: the name of p(x|z) in `subject.likelihoods`.
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
        title="The loss takes the decoder's outputs for probabilities, but they are not",
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


def spread_between_0_and_1(subject: Subject, data: Data) -> bool:
    """Change the last kernel and bias of a decoder until its outputs are spread between 0 and 1.

    There a cross-entropy has slopes that are not proportional to those of a squared error.

    Returns:
        Whether the outputs are spread now. They are not if they depend on no kernel and bias, or do
        not vary with the data.
    """
    pair = next(filter(None, map(kernel_and_bias, reversed(subject.layers))), None)
    if pair is None:
        return False
    kernel, bias = pair
    value = np.array(ops.convert_to_numpy(kernel), copy=True)
    for middle, exponent in itertools.product(_BIASES, _EXPONENTS):
        bias.assign(np.full(bias.shape, middle))
        kernel.assign(value * 2.0**exponent)
        outputs = _outputs(subject, data)
        if outputs.min() >= _LOW and outputs.max() <= _HIGH:
            return bool(outputs.std() > _LEAST_SPREAD)
    return False


def _outputs(subject: Subject, data: Data) -> np.ndarray:
    """The decoder's outputs at mu."""
    mu, _ = subject.encode(data.x, data.conditions)
    return np.asarray(keras.tree.flatten(subject.decode(mu, data.conditions))[0])


def kernel_and_bias(layer: keras.Layer) -> tuple[keras.Variable, keras.Variable] | None:
    """The kernel and the bias of a Dense layer or a convolution; None for other layers."""
    kernel, bias = getattr(layer, "kernel", None), getattr(layer, "bias", None)
    return None if kernel is None or bias is None else (kernel, bias)
