"""The networks in the configuration of a .keras file as graphs. Nothing is built or run here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kelbo.clinic.anatomy.graph import Network, Output, Step
from kelbo.clinic.foreign.code import needed_code

_TENSOR = "__keras_tensor__"


@dataclass(frozen=True)
class FileNetwork(Network):
    """A network in a configuration.

    Attributes:
        layers: name -> the layer's configuration, with its calls under "inbound_nodes".
    """

    layers: Mapping[str, Any] = field(default_factory=dict)

    def call(self, output: Output) -> dict[str, Any]:
        """The configuration of the call that returns an output."""
        return self.layers[output.layer]["inbound_nodes"][output.call]


def find_networks(config: Any, path: tuple[str, ...] = ()) -> Iterator[FileNetwork]:
    """Every network in a configuration, outer networks before inner ones."""
    if isinstance(config, list):
        for number, value in enumerate(config):
            yield from find_networks(value, (*path, str(number)))
    elif isinstance(config, dict):
        if "input_layers" in config and "output_layers" in config:
            yield _functional(config, path)
        elif config.get("class_name") == "Sequential" and config["config"]["layers"]:
            yield _sequential(config["config"], path)
        for key, value in config.items():
            yield from find_networks(value, path if key == "config" else (*path, key))


def tensor_of(value: Any) -> Output | None:
    """The tensor that a value in a configuration denotes; None if it denotes none."""
    if isinstance(value, dict) and value.get("class_name") == _TENSOR:
        return Output(*value["config"]["keras_history"])
    return None


def _network(layers: dict[str, Any], **described: Any) -> FileNetwork:
    """The network of these layers, with the shapes that their configuration has."""
    steps: dict[str, Step] = {}
    shapes: dict[Output, tuple[int | None, ...]] = {}
    for name, entry in layers.items():
        config = entry["config"]
        calls = []
        for call in entry["inbound_nodes"]:
            tensors = list(_tensors([call["args"], call["kwargs"]]))
            calls.append(tuple(output for output, _ in tensors))
            shapes |= {output: shape for output, shape in tensors if shape is not None}
        if not calls:
            shapes[Output(name, 0, 0)] = tuple(config["batch_shape"] or ())
        activation = config.get("activation") if isinstance(config, dict) else None
        steps[name] = Step(
            kind=entry["class_name"],
            activation=activation if isinstance(activation, str) else "",
            calls=tuple(calls),
            needed=needed_code(entry),
        )
    return FileNetwork(steps=steps, shapes=shapes, layers=layers, **described)


def _tensors(value: Any) -> Iterator[tuple[Output, tuple[int | None, ...] | None]]:
    """The tensors among arguments, each with its shape; None where the shape is not given."""
    tensor = tensor_of(value)
    if tensor is not None:
        shape = value["config"].get("shape")
        yield tensor, None if shape is None else tuple(shape)
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _functional(config: dict[str, Any], path: tuple[str, ...]) -> FileNetwork:
    layers = {entry["name"]: entry for entry in config["layers"]}

    def leaves(structure: Any, key: str = "") -> Iterator[tuple[str, Output]]:
        if isinstance(structure, dict):
            # Keras numbers them in this order.
            for name, inner in sorted(structure.items()):
                yield from leaves(inner, name)
        elif structure and isinstance(structure[0], str):
            layer, call, index = structure
            # Keras counts the calls of a network from 1 here, and from 0 among the arguments.
            first = 1 if "input_layers" in layers[layer]["config"] else 0
            yield key or layer, Output(layer, call - first, index)
        else:
            for inner in structure:
                yield from leaves(inner, key)

    return _network(
        layers,
        path=path,
        name=config["name"],
        inputs=tuple(given for _, given in leaves(config["input_layers"])),
        outputs=tuple(leaves(config["output_layers"])),
        named=isinstance(config["output_layers"], dict),
    )


def _sequential(config: dict[str, Any], path: tuple[str, ...]) -> FileNetwork:
    """The graph of a Sequential."""
    entries = list(config["layers"])
    if entries[0]["class_name"] != "InputLayer":
        given = {"name": "input", "batch_shape": config.get("build_input_shape")}
        entries.insert(0, {"class_name": "InputLayer", "config": given})
    layers: dict[str, Any] = {}
    for entry in entries:
        calls = []
        if layers:
            history = {"keras_history": [next(reversed(layers)), 0, 0]}
            calls = [{"args": [{"class_name": _TENSOR, "config": history}], "kwargs": {}}]
        name = entry["config"]["name"]
        layers[name] = {**entry, "name": name, "inbound_nodes": calls}
    first, last = next(iter(layers)), next(reversed(layers))
    return _network(
        layers,
        path=path,
        name=config["name"],
        inputs=(Output(first, 0, 0),),
        outputs=((last, Output(last, 0, 0)),),
        named=False,
    )
