"""The networks in the configuration of a .keras file, as graphs. Nothing is made or run here."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

_TENSOR = "__keras_tensor__"


class Output(NamedTuple):
    """One output of one call of a layer: Keras's `keras_history`."""

    layer: str
    call: int
    number: int


@dataclass(frozen=True)
class Network:
    """A functional or sequential network, as its configuration describes it.

    Attributes:
        path: the keys under which it stands in the configuration of the file.
        name: its name as a Keras layer.
        layers: name -> configuration of the layer, with its calls under "inbound_nodes".
        inputs: what it takes.
        outputs: what it gives, each with its name.
        named: whether it gives a dictionary.
    """

    path: tuple[str, ...]
    name: str
    layers: dict[str, Any]
    inputs: tuple[Output, ...]
    outputs: tuple[tuple[str, Output], ...]
    named: bool

    def is_called(self, name: str) -> bool:
        """Whether it has this name, as a layer or as an argument of the model that holds it."""
        return name == self.name or name in self.path[-1:]

    def is_within(self, other: "Network") -> bool:
        """Whether it is a part of another network."""
        return self.path[: len(other.path)] == other.path and self is not other

    def layer_of(self, other: "Network") -> str | None:
        """The name of the layer that another network is in this one, or None."""
        return other.name if other.path[:-1] == (*self.path, "layers") else None

    def shape(self, given: Output) -> tuple[int | None, ...]:
        """The shape of one of the inputs, None for the batch."""
        return tuple(self.layers[given.layer]["config"]["batch_shape"])

    def call(self, output: Output) -> dict[str, Any]:
        """The arguments of the call that gives an output; none of an input."""
        calls = self.layers[output.layer]["inbound_nodes"]
        return calls[output.call] if calls else {"args": [], "kwargs": {}}

    def sources(self, output: Output) -> list[Output]:
        """The tensors that the layer of an output gets in that call."""
        call = self.call(output)
        return [*_tensors(call["args"]), *_tensors(call["kwargs"])]

    def starts(self, wanted: Output, stops: Collection[str]) -> set[Output]:
        """Where the way to a tensor begins: inputs, and outputs of the layers to stop at."""
        starts, seen, rest = set(), set(), [wanted]
        while rest:
            output = rest.pop()
            if output in seen:
                continue
            seen.add(output)
            sources = [] if output.layer in stops else self.sources(output)
            if not sources:
                starts.add(output)
            rest += sources
        return starts

    def calls_before(self, wanted: Collection[Output], given: Collection[Output]) -> list[Output]:
        """One output of every call that leads from `given` to `wanted`, in the order of execution.

        Raises:
            ValueError: the graph has a loop.
        """
        needed: dict[Output, list[Output]] = {}
        rest = list(wanted)
        while rest:
            output = rest.pop()
            if output in given or output._replace(number=0) in needed:
                continue
            sources = [source for source in self.sources(output) if source not in given]
            needed[output._replace(number=0)] = [source._replace(number=0) for source in sources]
            rest += sources
        return list(TopologicalSorter(needed).static_order())


def find_networks(config: Any, path: tuple[str, ...] = ()) -> Iterator[Network]:
    """Every network in a configuration, the outer ones before those that they hold."""
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
    """The tensor that a value in a configuration stands for, or None."""
    if isinstance(value, dict) and value.get("class_name") == _TENSOR:
        return Output(*value["config"]["keras_history"])
    return None


def _tensors(value: Any) -> Iterator[Output]:
    tensor = tensor_of(value)
    if tensor is not None:
        yield tensor
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _functional(config: dict[str, Any], path: tuple[str, ...]) -> Network:
    layers = {entry["name"]: entry for entry in config["layers"]}

    def leaves(structure: Any, key: str = "") -> Iterator[tuple[str, Output]]:
        if isinstance(structure, dict):
            # In the order in which Keras counts them.
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

    return Network(
        path=path,
        name=config["name"],
        layers=layers,
        inputs=tuple(given for _, given in leaves(config["input_layers"])),
        outputs=tuple(leaves(config["output_layers"])),
        named=isinstance(config["output_layers"], dict),
    )


def _sequential(config: dict[str, Any], path: tuple[str, ...]) -> Network:
    """A sequence as the graph that it is."""
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
    return Network(
        path=path,
        name=config["name"],
        layers=layers,
        inputs=(Output(first, 0, 0),),
        outputs=((last, Output(last, 0, 0)),),
        named=False,
    )
