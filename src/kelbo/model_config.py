"""How much Keras would make of the configuration in a .keras file, found before it makes any.

Keras imports a module part by part, writes a layer's name into each of its weights, quotes the
whole configuration at each level of an error, and builds a Sequential anew with each of its layers.
So some kilobytes can ask for gigabytes or hours. No honest file comes near the limits here.
"""

import math
from collections.abc import Iterator
from typing import Any

# Characters. Keras imports "keras....." in steps of one dot, and keeps the text at each.
_LONGEST_TEXT = 2**16
_LONGEST_NAME = 2**10
# Levels of a configuration, or of weights; a network within a network takes four.
DEEPEST = 100
# Characters of the errors that quote what they are about, again at each second level.
_MOST_QUOTED = 2**29
# What a whole number can be; seeds have 64 bits.
_LARGEST_NUMBER = 2**64
# Values of one datum in one tensor that a configuration names: a volume of 512^3.
_LARGEST_TENSOR = 2**27
_LONGEST_SHAPE = 64
_SHAPES = ("batch_input_shape", "batch_shape", "build_input_shape", "input_shape", "shape")
# Of these Keras makes a list, or a square matrix, of as many parts.
_LISTED = ("ngrams", "num_classes", "num_oov_indices", "num_thresholds")
_LONGEST_LIST = 10_000
# The layers of each Sequential, squared and added up: 250 in one take eight seconds.
_MOST_REBUILT = 2**16
# Calls of layers that stand before what they are called on: each takes a pass over all layers.
_MOST_LATE = 2**6


def check_config(config: Any) -> None:
    """Check that what a configuration describes can be made in seconds and in little memory.

    What it describes in weights is another question: `kelbo.model_file.check_weights`.

    Raises:
        ValueError: it is nested too deeply, or a text, a number, a shape or a network in it is too
            large, or a layer is called on no tensor.
    """
    quoted = rebuilt = late = 0
    for value, depth in _values(config):
        if depth > DEEPEST:
            raise ValueError(f"its configuration is nested more than {DEEPEST} levels deep")
        size = 24
        if isinstance(value, str):
            size += len(value)
            _check_most("text", len(value), _LONGEST_TEXT, "characters")
        elif isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            raise ValueError("its configuration has a whole number of more than 64 bits")
        elif isinstance(value, dict):
            size += sum(map(len, value))
            _check_entry(value)
            rebuilt += _rebuilt(value)
            late += _late(value)
        quoted += size * depth**2 // 4
    if quoted > _MOST_QUOTED:
        raise ValueError(
            "its configuration is so large at its depth that an error about it would have "
            f"{quoted:,} characters, expected at most {_MOST_QUOTED:,}"
        )
    _check_most("Sequential", math.isqrt(rebuilt), math.isqrt(_MOST_REBUILT), "layers")
    _check_most("network", late, _MOST_LATE, "calls ahead of what they are called on")


def _values(config: Any) -> Iterator[tuple[Any, int]]:
    """Every value in a configuration, with its depth."""
    rest = [(config, 1)]
    while rest:
        value, depth = rest.pop()
        yield value, depth
        if isinstance(value, dict):
            rest += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            rest += [(inner, depth + 1) for inner in value]


def _check_most(what: str, found: int, most: int, unit: str) -> None:
    if found > most:
        raise ValueError(
            f"its configuration has a {what} of {found:,} {unit}, expected at most {most:,}"
        )


def _check_entry(entry: dict[str, Any]) -> None:
    """Check the names, shapes and lists of one dictionary, and the calls of a layer."""
    for key, value in entry.items():
        _check_most("text", len(key), _LONGEST_TEXT, "characters")
        if key == "name" and isinstance(value, str):
            _check_most("name", len(value), _LONGEST_NAME, "characters")
        elif key in _LISTED and isinstance(value, int):
            _check_most(f"value of {key!r}", value, _LONGEST_LIST, "parts")
        elif key in _SHAPES or key == "target_shape":
            _check_shape(value)
    calls = entry.get("inbound_nodes")
    if isinstance(calls, list):
        for call in calls:
            # On constants alone a layer would compute at once, whatever that takes.
            if isinstance(call, dict) and next(_tensors(call), None) is None:
                raise ValueError(
                    f"its configuration calls the layer {str(entry.get('name'))!r} on no tensor"
                )


def _check_shape(shape: Any) -> None:
    if not isinstance(shape, list):
        return
    _check_most("shape", len(shape), _LONGEST_SHAPE, "axes")
    size = math.prod(length for length in shape if isinstance(length, int) and length > 0)
    if size > _LARGEST_TENSOR:
        raise ValueError(
            f"its configuration names a tensor of shape {shape}, of {size:,} values, expected at "
            f"most {_LARGEST_TENSOR:,}"
        )


def _rebuilt(entry: dict[str, Any]) -> int:
    """How many layers Keras builds for a Sequential: all that it has, with each that is added."""
    inner = entry.get("config")
    is_sequential = entry.get("class_name") == "Sequential" and isinstance(inner, dict)
    layers = inner.get("layers") if is_sequential and isinstance(inner, dict) else None
    return len(layers) ** 2 if isinstance(layers, list) else 0


def _late(network: dict[str, Any]) -> int:
    """How many calls in a network are on a layer that stands behind the one that is called."""
    layers = network.get("layers")
    if not isinstance(layers, list):
        return 0
    entries = [entry for entry in layers if isinstance(entry, dict)]
    places = {str(entry.get("name")): place for place, entry in enumerate(entries)}
    return sum(
        places.get(name, -1) > place
        for place, entry in enumerate(entries)
        for name in _tensors(entry.get("inbound_nodes"))
    )


def _tensors(call: Any) -> Iterator[str]:
    """The names of the layers whose outputs are among the arguments of a call."""
    for value, _ in _values(call):
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            described = value.get("config")
            history = described.get("keras_history") if isinstance(described, dict) else None
            yield str(history[0]) if isinstance(history, list) and history else ""
