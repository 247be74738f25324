"""A part of a network, made anew of Keras's own layers; no other code is looked for."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kelbo.foreign.graph import Network, Output, tensor_of
from kelbo.loading import reason_of

# Classes of Keras's that hold or fetch program code.
_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


class CodeNeededError(Exception):
    """A layer cannot be made of what the file holds: which one, and what is missing."""


def rebuild(
    network: Network, given: Output, shape: Sequence[int | None], wanted: Sequence[Output]
) -> keras.Model:
    """The part of a network between some of its tensors, as a model with new weights.

    Args:
        network: the network.
        given: the tensor where the part begins.
        shape: of that tensor, without the batch.
        wanted: the tensors where it ends.

    Raises:
        CodeNeededError: a layer in between needs code that is not Keras's.
        ValueError: the graph has a loop, or a layer does not take what it gets.
    """
    inputs = keras.Input(shape)
    tensors = {given: inputs}
    layers: dict[str, Any] = {}
    for output in network.calls_before(wanted, [given]):
        if output.layer not in layers:
            layers[output.layer] = make_layer(network.layers[output.layer])
        outputs = _call(layers[output.layer], network.call(output), tensors)
        tensors |= {output._replace(number=index): found for index, found in enumerate(outputs)}
    found = [tensors[output] for output in wanted]
    return keras.Model(inputs, found if len(found) > 1 else found[0], name=network.name)


def _call(layer: Any, call: Mapping[str, Any], tensors: Mapping[Output, Any]) -> list[Any]:
    arguments, options = _revive(call["args"], tensors), _revive(call["kwargs"], tensors)
    try:
        return keras.tree.flatten(layer(*arguments, **options))
    except Exception as error:  # whatever a layer may have against its arguments
        raise ValueError(f"{layer.name} cannot be called: {error}") from error


def make_layer(entry: Mapping[str, Any]) -> Any:
    """A layer of Keras's or kelbo's, by its configuration.

    Raises:
        CodeNeededError: it is another's, or holds program code.
    """
    what = f"the layer {entry['name']!r} ({entry['class_name']})"
    code = _find_code(entry)
    if code is not None:
        raise CodeNeededError(f"{what} needs the code of {code}, which is not in the file")
    described = {key: value for key, value in entry.items() if key != "compile_config"}
    try:
        # A copy, because Keras takes the configuration of a network apart.
        return keras.saving.deserialize_keras_object(copy.deepcopy(described), safe_mode=True)
    except Exception as error:  # whatever its configuration makes Keras stumble over
        raise CodeNeededError(f"{what} cannot be made: {reason_of(error)[:300]}") from error


def needed_code(entry: Mapping[str, Any]) -> str | None:
    """Why a layer cannot be made without more code, or None."""
    try:
        make_layer(entry)
    except CodeNeededError as error:
        return str(error)
    return None


def _find_code(config: Any) -> str | None:
    """The first class in a configuration that is code: not one of Keras's or of kelbo's.

    Whether this process knows the class does not count, so that a file is read alike everywhere.
    """
    if isinstance(config, list):
        return next((code for value in config if (code := _find_code(value))), None)
    if not isinstance(config, dict):
        return None
    name, registered = config.get("class_name"), str(config.get("registered_name"))
    if name in _CODE:
        return "a Lambda" if name == "__lambda__" else f"a {name}"
    # Keras would import some modules by their names in the file, and take what anybody registers.
    package = str(config.get("module")).partition(".")[0]
    of_keras = package in ("None", "builtins", "keras") and ">" not in registered
    of_kelbo = registered.startswith("kelbo>") and keras.saving.get_registered_object(registered)
    return _find_code(list(config.values())) if of_keras or of_kelbo else f"the class {name}"


def _revive(value: Any, tensors: Mapping[Output, Any]) -> Any:
    """Arguments of a call, with the tensors in their places."""
    tensor = tensor_of(value)
    if tensor is not None:
        return tensors[tensor]
    if isinstance(value, list):
        return [_revive(inner, tensors) for inner in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _revive(inner, tensors) for key, inner in value.items()}
    return keras.saving.deserialize_keras_object(value, safe_mode=True)
