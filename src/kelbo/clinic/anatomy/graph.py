"""A network as a graph of layers and tensors. Nothing is built or run here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import NamedTuple


class Output(NamedTuple):
    """One output of one call of a layer: Keras's `keras_history`."""

    layer: str
    call: int
    number: int


@dataclass(frozen=True)
class Step:
    """A layer or a plain operation of a network.

    Attributes:
        kind: the name of its class.
        activation: the name of its activation, or "".
        calls: the tensors that each call gets: () for a call in another network. An input has no
            calls.
        needed: the reason why its effect cannot be known without its author's code, or None.
    """

    kind: str
    activation: str
    calls: tuple[tuple[Output, ...], ...]
    needed: str | None = None


@dataclass(frozen=True)
class Network:
    """A functional or sequential network.

    Attributes:
        path: the names that lead to it from the whole model.
        name: its name as a Keras layer.
        steps: the name of each layer or operation -> its step.
        inputs: its input tensors.
        outputs: its output tensors, each with its name.
        named: whether its output is a dictionary.
        shapes: the shapes of its tensors that are known, with None for the batch.
    """

    path: tuple[str, ...]
    name: str
    steps: Mapping[str, Step]
    inputs: tuple[Output, ...]
    outputs: tuple[tuple[str, Output], ...]
    named: bool
    shapes: Mapping[Output, tuple[int | None, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(str(self.shapes.get(one, one.layer)) for one in self.inputs)
        return f"{self.name!r} from {given} to {', '.join(name for name, _ in self.outputs)}"

    def is_called(self, name: str) -> bool:
        """Whether it has this name, as a layer or as an attribute of the model that holds it."""
        return name == self.name or name in self.path[-1:]

    def is_within(self, other: "Network") -> bool:
        """Whether it lies inside another network."""
        return self.path[: len(other.path)] == other.path and self is not other

    def layer_of(self, other: "Network") -> str | None:
        """The name of another network as a layer of this one; None if it is none."""
        return other.name if other.path[:-1] == (*self.path, "layers") else None

    def last_call(self, layer: str) -> int:
        """The index of the last call of a layer in this network; other networks may call it too."""
        calls = self.steps[layer].calls
        return max((number for number, sources in enumerate(calls) if sources), default=0)

    def sources(self, output: Output) -> tuple[Output, ...]:
        """The tensors that the layer of an output gets in that call."""
        calls = self.steps[output.layer].calls
        return calls[output.call] if calls else ()

    def passed(self, wanted: Output, stops: Collection[Output] = ()) -> set[Output]:
        """All tensors that lead to one, itself included, back to inputs or `stops`."""
        seen, rest = set(), [wanted]
        while rest:
            output = rest.pop()
            if output not in seen:
                seen.add(output)
                rest += () if output in stops else self.sources(output)
        return seen

    def starts(self, wanted: Output, stops: Collection[Output] = ()) -> set[Output]:
        """The inputs, and tensors in `stops`, from which a tensor is computed."""
        passed = self.passed(wanted, stops)
        return {output for output in passed if output in stops or not self.sources(output)}

    def calls_before(
        self, wanted: Collection[Output], given: Collection[Output] = ()
    ) -> list[Output]:
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

    def depends(self, output: Output, other: Output) -> bool:
        """Whether a tensor is computed from another one, or is that one."""
        return other._replace(number=0) in self.calls_before([output])
