"""Traces a tensor to the layers that made it, through the models that passed it on."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Atom, Noise, Opaque, of, parts
from kelbo.clinic.doctor.program import Call, Program, once
from kelbo.clinic.doctor.values import Attribute, Instance, Items, Known, Tensor, Value, options

# The most models that a tensor is traced through.
_MOST_MODELS = 8


class Origins:
    """The calls that made a script's tensors.

    Args:
        program: the script.
    """

    def __init__(self, program: Program):
        # A call that takes `training` may leave the noise out when it predicts.
        self._results: dict[ast.AST, Value] = {
            step.node: result
            for step, result in program.results
            if step.node is not None and "training" not in step.function.parameters
        }
        self._made: dict[Opaque, tuple[Call, tuple[int, ...]]] = {}
        for call in program.calls:
            for place, tensor in _tensors(call.result):
                if tensor.opaque is not None:
                    self._made.setdefault(tensor.opaque, (call, place))

    def call(self, tensor: Value | None) -> tuple[Call, tuple[int, ...]] | None:
        """The call that returned a tensor, and the place of the tensor in its result."""
        opaque = tensor.opaque if isinstance(tensor, Tensor) else None
        return self._made.get(opaque) if opaque is not None else None

    def layer(self, tensor: Value | None) -> Call | None:
        """The call of a library layer whose output, or a part of it, a tensor is."""
        whole = tensor
        if isinstance(tensor, Tensor) and tensor.opaque is not None:
            whole = Tensor(of(Opaque(tensor.opaque.key[:1])))
        for call, inside in (*self._way(tensor), *self._way(whole)):
            made = [layer for layer in options(call.function) if isinstance(layer, Instance)]
            if inside is None and any(isinstance(layer.of, Known) for layer in made):
                return call
        return None

    def is_noisy(self, tensor: Value | None) -> bool:
        """Whether a tensor contains random numbers that the script draws."""
        ends = [tensor, *(inside for _, inside in self._way(tensor))]
        return any(
            isinstance(atom, Noise)
            for end in ends
            if isinstance(end, Tensor)
            for atom in atoms_of(end)
        )

    def inside(self, tensor: Value | None) -> list[Value | None]:
        """What a tensor is inside the models that passed it on, the outermost first."""
        return [value for _, value in self._way(tensor)]

    def parts_of(self, model: Instance) -> set[Instance]:
        """The layers and models that a saved model describes, itself included.

        What a class makes in its __init__ is not among them: loading makes it anew.
        """
        found: set[Instance] = set()
        todo: list[Value | None] = [model]
        seen: set[Opaque] = set()
        while todo:
            here = todo.pop()
            if isinstance(here, Instance) and here not in found:
                found.add(here)
                todo.extend((here.outputs, *here.arguments))
            elif isinstance(here, Items):
                todo.extend(here.items)
            elif isinstance(here, Tensor):
                for atom in atoms_of(here):
                    if isinstance(atom, Opaque) and atom in self._made and atom not in seen:
                        seen.add(atom)
                        call, _ = self._made[atom]
                        todo.extend((*options(call.function), *call.arguments))
        return found

    def _way(self, tensor: Value | None) -> Iterator[tuple[Call, Value | None]]:
        """The calls that passed a tensor on, each with what it is inside the called model."""
        here = tensor
        for _ in range(_MOST_MODELS):
            made = self.call(here)
            if made is None:
                return
            call, place = made
            here = self.made_of(call, place)
            yield call, here

    def made_of(self, call: Call, place: tuple[int, ...]) -> Value | None:
        """What the result of a call is inside the model or the layer; None if it is not known."""
        if call.node in self._results:
            return _at(self._results[call.node], place)
        for option in options(call.function):
            predicts = isinstance(option, Attribute) and option.name == "predict"
            model = option.owner if isinstance(option, Attribute) and predicts else option
            if isinstance(model, Instance) and model.outputs is not None:
                return _at(model.outputs, place)
        return None


@once
def origins_of(program: Program) -> Origins:
    """Where the tensors of a script come from."""
    return Origins(program)


def atoms_of(tensor: Tensor) -> Iterator[Atom]:
    """All atoms that a tensor is computed from."""
    todo = [tensor.expression]
    while todo:
        for _, atoms in todo.pop().terms:
            yield from atoms
            todo.extend(part for atom in atoms for part in parts(atom))


def _tensors(value: Value, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, Items):
        for number, item in enumerate(value.items):
            yield from _tensors(item, (*place, number))


def _at(value: Value, place: tuple[int, ...]) -> Value | None:
    for number in place:
        if not isinstance(value, Items) or number >= len(value.items):
            return None
        value = value.items[number]
    return value
