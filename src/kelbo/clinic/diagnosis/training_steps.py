"""How long a model has been trained, by its optimiser or its weights."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.initializers import Constant, Ones, Zeros

_CONSTANTS = (Constant, Ones, Zeros)
# The standard deviation of a move that is small, and above all rounding.
_NUDGE = 0.1


def steps_taken(by_optimizer: int | None, parts: Sequence[keras.Layer]) -> int | None:
    """The training steps that a model has taken; None if nothing tells.

    An optimiser that has taken none may be new: the model may have been trained and compiled again.
    Then the weights decide. Those that start at a constant, mostly biases, move in the first step.

    Args:
        by_optimizer: the steps that the optimiser has taken, or None without one.
        parts: encoder and decoder.

    Returns:
        The optimiser's steps; without any, 0 if every trainable weight that starts at a constant
        still has its value; None if some have moved, or none starts at a constant.
    """
    return by_optimizer or (0 if _is_untouched(parts) else None)


def tells_nothing(steps: int | None, parts: Sequence[keras.Layer]) -> bool:
    """Whether neither optimiser nor weights tell if a model is trained.

    Args:
        steps: what `steps_taken` returned.
        parts: encoder and decoder.
    """
    return steps is None and not any(True for part in parts for _ in _constant_starts(part))


def move_starts(parts: Sequence[keras.Layer]) -> None:
    """Move every trainable weight that has not started at random a little way, as a step would.

    A layer whose kernel starts at 0 gives the same for every datum only until then.
    """
    generator = np.random.default_rng(0)
    for part in parts:
        at_random = {
            id(getattr(layer, name, None))
            for layer in part._flatten_layers()
            for name, initializer in _initializers(layer)
            if not isinstance(initializer, _CONSTANTS)
        }
        for weight in part.trainable_weights:
            if id(weight) not in at_random:
                noise = _NUDGE * generator.standard_normal(weight.shape)
                weight.assign(ops.convert_to_numpy(weight) + noise.astype("float32"))


def _is_untouched(parts: Sequence[keras.Layer]) -> bool:
    starts = [start for part in parts for start in _constant_starts(part)]
    return bool(starts) and all(
        np.array_equal(ops.convert_to_numpy(weight), value) for weight, value in starts
    )


def _constant_starts(part: keras.Layer) -> Iterator[tuple[keras.Variable, np.ndarray]]:
    """The trainable weights that start at a constant, and this constant."""
    trainable = {id(weight) for weight in part.trainable_weights}
    for layer in part._flatten_layers():
        for name, initializer in _initializers(layer):
            weight = getattr(layer, name, None)
            if weight is None or id(weight) not in trainable:
                continue
            if isinstance(initializer, _CONSTANTS):
                start = initializer(weight.shape, dtype=weight.dtype)
                yield weight, ops.convert_to_numpy(start)


def _initializers(layer: keras.Layer) -> Iterator[tuple[str, Any]]:
    """The initialisers of a layer's weights; Keras's layers call them NAME_initializer."""
    for name, value in vars(layer).items():
        if name.endswith("_initializer"):
            yield name.removesuffix("_initializer"), value
