"""The networks of a model in memory as graphs, and parts of them as models with shared layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from kelbo.clinic.anatomy.graph import Network, Output, Step
from kelbo.clinic.anatomy.roles import RoleError


@dataclass(frozen=True)
class LiveNetwork(Network):
    """A functional or sequential network in memory.

    Attributes:
        layer: the network itself.
        nodes: the calls of its layers, as Keras stores them.
        tensors: its symbolic tensors.
    """

    layer: Any = None
    nodes: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    tensors: Mapping[Output, Any] = field(default_factory=dict)

    def part(self, given: Sequence[Output], wanted: Sequence[Output]) -> keras.Model:
        """The part between some of its tensors, with the same layers and weights."""
        inputs = [self.tensors[output] for output in given]
        if not set(given).issubset(self.inputs):
            # Keras itself can begin in the middle of a graph. But if the part also has an input of
            # the model, Keras takes that input from the model, which then cannot be saved any more.
            ends = inputs
            inputs = [keras.Input(batch_shape=end.shape, dtype=end.dtype) for end in ends]
            tensors = {id(end): tensor for end, tensor in zip(ends, inputs, strict=True)}
            for output in self.calls_before(wanted, given):
                node = self.nodes[output.layer, output.call]
                arguments, options = node.arguments.fill_in(tensors)
                made = keras.tree.flatten(node.operation(*arguments, **options))
                tensors |= {id(old): new for old, new in zip(node.outputs, made, strict=True)}
            outputs = [tensors[id(self.tensors[output])] for output in wanted]
        else:
            outputs = [self.tensors[output] for output in wanted]
        return keras.Model(
            inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0]
        )


def networks_in(model: keras.Model) -> Iterator[LiveNetwork]:
    """The functional and sequential networks of a model, the outer ones before the inner ones."""
    seen: set[int] = set()

    def within(layer: Any, path: tuple[str, ...]) -> Iterator[LiveNetwork]:
        if id(layer) in seen or not isinstance(layer, keras.Layer):
            return
        seen.add(id(layer))
        network = _network(layer, path)
        if network is not None:
            yield network
        for number, inner in enumerate(getattr(layer, "layers", ())):
            if network is not None:
                yield from within(inner, (*path, "layers", str(number)))
        for name, inner in attributes(layer):
            yield from within(inner, (*path, name))

    yield from within(model, ())


def network_of(networks: Sequence[LiveNetwork], layer: keras.Layer) -> LiveNetwork:
    """The graph of a layer, among the model's networks or on its own.

    Raises:
        RoleError: the layer is no functional or sequential network.
    """
    # On its own it lies inside no other network.
    alone = (replace(one, path=("passed",)) for one in networks_in(layer) if one.layer is layer)
    network = next((one for one in (*networks, *alone) if one.layer is layer), None)
    if network is None:
        raise RoleError(
            f"{layer.name!r} is no functional or sequential network, and does not show its tensors."
        )
    return network


def attributes(layer: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    """The attributes of a layer that are layers, with their names."""
    # A PyTorch module keeps its modules apart.
    held = {**vars(layer), **vars(layer).get("_modules", {})}
    for name, value in held.items():
        if isinstance(value, keras.Layer) and not name.startswith("_"):
            yield name, value


def _network(layer: keras.Layer, path: tuple[str, ...]) -> LiveNetwork | None:
    """The graph of a functional model or a built Sequential; None for other layers."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return None
    inner = getattr(layer, "_functional", layer)  # a Sequential keeps its graph in one
    operations = getattr(inner, "operations", None)
    if not operations:
        return None
    own = {id(node) for nodes in inner._nodes_by_depth.values() for node in nodes}
    steps, nodes, tensors = {}, {}, {}
    for operation in operations:
        calls = []
        for number, node in enumerate(operation._inbound_nodes):
            # Other networks may call the layer too.
            is_own = id(node) in own
            calls.append(tuple(map(_output, node.input_tensors)) if is_own else ())
            if is_own:
                nodes[operation.name, number] = node
                for index, tensor in enumerate(node.outputs):
                    tensors[Output(operation.name, number, index)] = tensor
        activation = getattr(getattr(operation, "activation", None), "__name__", "")
        steps[operation.name] = Step(
            kind=type(operation).__name__,
            activation=activation,
            calls=tuple(calls),
            needed=_needed_code(operation),
        )
    outputs = keras.tree.flatten_with_path(inner.output)
    return LiveNetwork(
        path=path,
        name=layer.name,
        steps=steps,
        inputs=tuple(map(_output, layer.inputs)),
        outputs=tuple(
            (next((key for key in keys if isinstance(key, str)), _output(one).layer), _output(one))
            for keys, one in outputs
        ),
        named=isinstance(inner.output, dict),
        shapes={output: tuple(tensor.shape) for output, tensor in tensors.items()},
        layer=layer,
        nodes=nodes,
        tensors=tensors,
    )


def _output(tensor: Any) -> Output:
    operation, call, number = tensor._keras_history
    return Output(operation.name, call, number)


def _needed_code(operation: Any) -> str | None:
    """The reason why a file would need more code for a layer; None for Keras's and kelbo's."""
    kind = type(operation)
    package = kind.__module__.partition(".")[0]
    if package in ("keras", "kelbo") and not isinstance(operation, keras.layers.Lambda):
        return None
    return f"the layer {operation.name!r} ({kind.__name__}) does what its author's code says"
