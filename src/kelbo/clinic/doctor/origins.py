"""Where a tensor comes from: the layers that made it, through the models that handed it on."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Atom, Noise, Opaque, of, parts
from kelbo.clinic.doctor.program import Call, Program, once
from kelbo.clinic.doctor.values import Attribute, Instance, Items, Known, Tensor, Value, options

# Models are not nested deeper.
_MOST_MODELS = 8


class Origins:
    """The calls that made the tensors of a script.

    Args:
        program: the script.
    """

    def __init__(self, program: Program):
        # A call that knows of the training may leave the noise out when it predicts.
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
        """The call that a tensor is a result of, and which of them it is."""
        opaque = tensor.opaque if isinstance(tensor, Tensor) else None
        return self._made.get(opaque) if opaque is not None else None

    def layer(self, tensor: Value | None) -> Call | None:
        """The call of the library's layer that a tensor is the output of, or a part of it."""
        whole = tensor
        if isinstance(tensor, Tensor) and tensor.opaque is not None:
            whole = Tensor(of(Opaque(tensor.opaque.key[:1])))
        for call, inside in (*self._way(tensor), *self._way(whole)):
            made = [layer for layer in options(call.function) if isinstance(layer, Instance)]
            if inside is None and any(isinstance(layer.of, Known) for layer in made):
                return call
        return None

    def is_noisy(self, tensor: Value | None) -> bool:
        """Whether random numbers that the script draws are a part of a tensor."""
        ends = [tensor, *(inside for _, inside in self._way(tensor))]
        return any(
            isinstance(atom, Noise)
            for end in ends
            if isinstance(end, Tensor)
            for atom in atoms_of(end)
        )

    def parts_of(self, model: Instance) -> set[Instance]:
        """The layers and the models of which a saved model has a description, itself included.

        What the __init__ of a class makes is not among them: that is made anew.
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
        """The calls that handed a tensor on, and what it is inside of the model they are of."""
        here = tensor
        for _ in range(_MOST_MODELS):
            made = self.call(here)
            if made is None:
                return
            call, place = made
            here = self._inside(call, place)
            yield call, here

    def _inside(self, call: Call, place: tuple[int, ...]) -> Value | None:
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
    """All that a tensor is computed from."""
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
