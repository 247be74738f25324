"""Is every number finite, and if not, where does the first NaN or infinity come from?"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.clinic.diagnosis.subject import Subject

# Larger data are not scaled, neither to [0, 1] nor to a variance of 1.
_LARGE = 10.0
_LEARNING_RATE = (
    "Train again with a tenth of the learning rate, then with clipped gradients "
    "(keras.optimizers.Adam(clipnorm=1.0))"
)


def check_finite(subject: Subject, data: Data) -> Finding | None:
    """Find the first weight and the first layer that are not finite.

    Args:
        subject: the model.
        data: finite data.
    """
    # The model may have more weights, such as those of a prior with a network.
    weights = [*subject.weights, *([] if subject.model is None else subject.model.weights)]
    weight = next((w for w in weights if not _is_finite(w)), None)
    layer = _first_layer_not_finite(subject, data)
    if weight is not None:
        where = f" The first layer that computes with NaN or infinity is {layer}." if layer else ""
        return Finding(
            name="not-finite",
            severity="error",
            title=f"The weight {weight.path} is not finite",
            meaning=f"A training step has overflowed, and the model is lost.{where}",
            cure=(
                f"{_scale(data.x)}{_LEARNING_RATE}; the last finite weights are in an earlier "
                "checkpoint."
            ),
        )
    if layer is None:
        return None
    return Finding(
        name="not-finite",
        severity="error",
        title=f"The layer {layer} is the first whose output is not finite",
        meaning="The data and the weights are finite, but the output of this layer is not.",
        cure=(
            f"{_scale(data.x)}Bound its input, such as log_var by "
            f"keras.ops.clip(log_var, -20, 10). {_LEARNING_RATE}."
        ),
    )


def _scale(x: np.ndarray) -> str:
    """Advice for data as large as the pixels of a file; "" for others."""
    low, high = float(x.min()), float(x.max())
    if max(abs(low), abs(high)) <= _LARGE:
        return ""
    return f"The data reach from {low:g} to {high:g}: scale them, images by x / 255. "


def overflow(observation: Observation) -> Finding:
    """The finding for figures that are not finite although the output of every layer is."""
    kl = observation.kl
    what = "log p(x|z)" if kl is None or np.isfinite(kl) else "The KL"
    return Finding(
        name="not-finite",
        severity="error",
        title=f"{what} is not finite",
        meaning=(
            "The output of every layer is finite, but this term is not: outputs are so large that "
            "it overflows, or its formula divides by 0 or takes the logarithm of 0."
        ),
        cure=f"{_LEARNING_RATE}. Check the formula, if it is your own.",
    )


def _is_finite(values: Any) -> bool:
    arrays = [ops.convert_to_numpy(value) for value in keras.tree.flatten(values)]
    return all(np.isfinite(array).all() for array in arrays)


def _first_layer_not_finite(subject: Subject, data: Data) -> str | None:
    """The first layer, in the order of execution, whose output is not finite.

    The decoder gets mu as z, so that no noise hides the encoder's values.
    """
    found: list[str] = []
    with _watched(subject.layers, found):
        mu, log_var = subject.encode(data.x, data.conditions)
        # The decoder is not at fault for what it makes of a z that is not finite.
        outputs = subject.decode(mu, data.conditions) if _is_finite(mu) else ()
    if found:
        return found[0]
    # Plain operations are no layers.
    parts = {"mu": mu, "log_var": () if log_var is None else log_var, "decoder": outputs}
    return next((name for name, values in parts.items() if not _is_finite(values)), None)


@contextmanager
def _watched(layers: list[keras.Layer], found: list[str]) -> Iterator[None]:
    """Collect the names of layers whose outputs are not finite, in the order of their calls."""

    def watch(layer: keras.Layer) -> None:
        call = layer.call

        @wraps(call)
        def watched(*arguments: Any, **options: Any) -> Any:
            outputs = call(*arguments, **options)
            if not _is_finite(outputs):
                found.append(layer.name)
            return outputs

        layer.call = watched

    layers = list({id(layer): layer for layer in layers}.values())
    for layer in layers:
        watch(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call  # the class's own is left
