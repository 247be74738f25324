"""The whole model in a file, compiled, where it needs no class that is not Keras's own.

Its training step is then the author's, and nobody's code is run for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import keras
import numpy as np
from keras import ops
from keras.src.losses import ALL_OBJECTS_DICT

from kelbo.clinic.anatomy.find_decoder import find_decoder
from kelbo.clinic.anatomy.find_encoder import find_encoder
from kelbo.clinic.anatomy.memory import networks_in
from kelbo.clinic.anatomy.roles import RoleError, Roles
from kelbo.clinic.foreign.code import CodeNeededError
from kelbo.clinic.foreign.configuration import FileNetwork
from kelbo.clinic.foreign.rebuild import rebuild
from kelbo.clinic.foreign.weights import load_weights
from kelbo.errors import RunError
from kelbo.model_file import find_class
from kelbo.unpacking import UNREADABLE


class HiddenLossError(Exception):
    """The reason why a file does not show its model's loss: a sentence without its full stop."""


def make_whole(
    config: Mapping[str, Any],
    networks: Sequence[FileNetwork],
    weights: h5py.File,
    most_weights: int,
) -> keras.Model:
    """Make the whole model of a file, with its weights and its loss.

    Args:
        config: the configuration in the file.
        networks: its networks, the outer ones first.
        weights: the file's model.weights.h5.
        most_weights: the bytes of all weights in the file.

    Raises:
        HiddenLossError: the class of the model, a layer or the loss needs code that is not in the
            file, or there is no loss.
    """
    name, package = config["class_name"], str(config.get("module")).partition(".")[0]
    if name != "Functional" or package != "keras":
        raise HiddenLossError(
            f"the class {name} may compute the loss itself, and its code is not in the file"
        )
    steps = [step for network in networks for step in network.steps.values()]
    needed = next((step.needed for step in steps if step.needed), None)
    if needed is not None:
        raise HiddenLossError(f"{needed}, and may add to the loss")
    compiled = config.get("compile_config") or {}
    if not compiled.get("loss"):
        raise HiddenLossError("the file has no compiled loss")
    loss, outer = _keras_loss(compiled["loss"]), networks[0]
    if len(outer.inputs) > 1:
        names = " and ".join(given.layer for given in outer.inputs)
        raise HiddenLossError(f"the file does not say which of the data are its inputs {names}")
    if outer.named and isinstance(loss, dict):
        raise HiddenLossError("the outputs of the model have names that are not those of layers")
    try:
        model = rebuild(outer, outer.inputs, [output for _, output in outer.outputs], most_weights)
        load_weights(model, outer, weights)
        model.compile(keras.optimizers.SGD(), loss=loss, loss_weights=compiled.get("loss_weights"))
    except (AttributeError, CodeNeededError, IndexError, RunError, *UNREADABLE) as error:
        raise HiddenLossError(f"the whole model cannot be made ({error})") from error
    return model


def parts_of_whole(
    model: keras.Model, told: Roles, encoder: keras.Model, decoder: keras.Model
) -> tuple[keras.Model, keras.Model]:
    """Encoder and decoder as parts of the whole model, which share its weights.

    Args:
        model: the whole model.
        told: the roles that a person has named.
        encoder: the encoder that was read alone.
        decoder: the decoder that was read alone.

    Raises:
        HiddenLossError: they are not found there, or differ from those that were read alone.
    """
    networks = list(networks_in(model))
    try:
        from_x = next(find_encoder(networks, told))
        found = from_x.network.part(from_x.inputs, from_x.wanted)
        from_z = find_decoder(networks, from_x, from_x.latent_shape(found), told)
    except RoleError as error:
        raise HiddenLossError(f"the parts of the whole model are not found: {error}") from error
    parts = found, from_z.network.part([from_z.z, *from_z.conditions], [from_z.x])
    for part, alone in zip(parts, (encoder, decoder), strict=True):
        if not _same_weights(part, alone):
            raise HiddenLossError("the parts of the whole model are not those that were read")
    return parts


def _same_weights(one: keras.Model, other: keras.Model) -> bool:
    arrays = [[ops.convert_to_numpy(weight) for weight in part.weights] for part in (one, other)]
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))


def _keras_loss(described: Any) -> Any:
    """One of Keras's losses, or a structure of them, from its configuration.

    Of a function the file has only the name, which may be that of a function of the author's.

    Raises:
        HiddenLossError: the loss may be another than Keras's.
    """
    if described is None or (isinstance(described, str) and described in ALL_OBJECTS_DICT):
        return described
    if isinstance(described, list):
        return [_keras_loss(one) for one in described]
    if not isinstance(described, dict):
        raise HiddenLossError(f"the loss {described!r} is not one of Keras's")
    name = described.get("class_name")
    if name is None:
        return {output: _keras_loss(one) for output, one in described.items()}
    if name == "function":
        raise HiddenLossError(
            f"the loss is a function {described['config']!r}, of which the file has only the name"
        )
    of_keras = described.get("module") == "keras.losses" and not described.get("registered_name")
    if not of_keras or name not in ALL_OBJECTS_DICT or find_class(described) is not None:
        raise HiddenLossError(f"the loss needs the code of {name}, which is not in the file")
    return keras.saving.deserialize_keras_object(dict(described), safe_mode=True)
