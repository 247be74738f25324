"""Rebuild a part of a network from Keras's own layers; no other code is looked for."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kelbo.clinic.anatomy.graph import Output
from kelbo.clinic.foreign.code import CodeNeededError, in_words, needed_code
from kelbo.clinic.foreign.configuration import FileNetwork, tensor_of
from kelbo.model_file import check_weights, reason_of


def rebuild(
    network: FileNetwork,
    given: Sequence[Output],
    wanted: Sequence[Output],
    most_weights: int,
) -> keras.Model:
    """Rebuild the part of a network between some of its tensors, with new weights.

    Args:
        network: the network.
        given: the tensors where the part begins, each with its shape in `network.shapes`.
        wanted: the tensors where the part ends.
        most_weights: the bytes of all weights in the file; a larger part is never built.

    Raises:
        CodeNeededError: a layer of the part needs code that is not Keras's.
        ValueError: the graph has a loop, or a layer refuses its input.
        TooManyWeightsError: the part has more weights than the file.
    """

    def make() -> keras.Model:
        return _make(network, given, wanted)

    check_weights(make, most_weights)
    return make()


def _make(network: FileNetwork, given: Sequence[Output], wanted: Sequence[Output]) -> keras.Model:
    # An input keeps its name, which may tell x from a condition. An inner tensor has none.
    inputs = [
        keras.Input(
            network.shapes[output][1:], name=output.layer if output in network.inputs else None
        )
        for output in given
    ]
    tensors: dict[Output, Any] = dict(zip(given, inputs, strict=True))
    layers: dict[str, Any] = {}
    for output in network.calls_before(wanted, given):
        if output.layer not in layers:
            layers[output.layer] = make_layer(network.layers[output.layer])
        outputs = _call(layers[output.layer], network.call(output), tensors)
        tensors |= {output._replace(number=index): found for index, found in enumerate(outputs)}
    found = [tensors[output] for output in wanted]
    return keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        found if len(found) > 1 else found[0],
        name=network.name,
    )


def _call(layer: Any, call: Mapping[str, Any], tensors: Mapping[Output, Any]) -> list[Any]:
    arguments, options = _revive(call["args"], tensors), _revive(call["kwargs"], tensors)
    try:
        return keras.tree.flatten(layer(*arguments, **options))
    except Exception as error:  # a layer may raise anything on its arguments
        raise ValueError(f"{layer.name} cannot be called: {error}") from error


def make_layer(entry: Mapping[str, Any]) -> Any:
    """Make a layer of Keras's or kelbo's from its configuration.

    Raises:
        CodeNeededError: the layer is of another class, or holds program code.
    """
    needed = needed_code(entry)
    if needed is not None:
        raise CodeNeededError(needed)
    described = {key: value for key, value in entry.items() if key != "compile_config"}
    try:
        # A copy, because Keras takes the configuration of a network apart.
        return keras.saving.deserialize_keras_object(copy.deepcopy(described), safe_mode=True)
    except Exception as error:  # Keras may raise anything on its configuration
        raise CodeNeededError(
            f"{in_words(entry)} cannot be made: {reason_of(error)[:300]}"
        ) from error


def _revive(value: Any, tensors: Mapping[Output, Any]) -> Any:
    """The arguments of a call, with tensors in place of their configuration."""
    tensor = tensor_of(value)
    if tensor is not None:
        return tensors[tensor]
    if isinstance(value, list):
        return [_revive(inner, tensors) for inner in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _revive(inner, tensors) for key, inner in value.items()}
    return keras.saving.deserialize_keras_object(value, safe_mode=True)
