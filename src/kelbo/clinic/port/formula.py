"""The loss of a script as one formula, read from the original without running it.

It is the doctor's expression of the loss, computed in 64 bits from the data and from the outputs of
the ported model. Several losses add up as they did in Keras 2: what add_loss is given and the loss
of compile, each as its mean. In a training step with a tape it is the sum of all that the tape
follows.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.expressions import (
    Atom,
    Divergence,
    Expression,
    Opaque,
    Operation,
    Reduction,
    of,
    parts,
)
from kelbo.clinic.doctor.objective import Term
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.values import Items, Table, Tensor, Value

# Keras keeps probabilities this far from 0 and 1; in 32 bits the distance from 1 is another.
_LEAST = float(np.float32(1e-7))
_MOST = float(np.float32(1 - 1e-7))

# Where a tensor is found: ("x", 1) is the second of the data, ("output", 0) the first output.
Place = tuple[str | int, ...]
TARGET: Place = ("y",)
RECONSTRUCTION: Place = ("output", 0)

# What is beside the formula in the loss of the ported model: the penalties of regularizers, all
# that layers add, or nothing.
PENALTIES, LAYERS, NOTHING = "penalties", "layers", "nothing"

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "square": np.square,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "tanh": np.tanh,
}
_DISTANCES: dict[str, Callable[..., Any]] = {"squared_error": np.square, "absolute_error": np.abs}
_REDUCTIONS: dict[str, Callable[..., Any]] = {"mean": np.mean, "sum": np.sum}


class _Unread(Exception):
    """A part of the loss is not known as a function of the data and the outputs."""


@dataclass(frozen=True)
class Formula:
    """The loss as a function of the data and the model's outputs.

    Args:
        losses: the losses that add up; each `Opaque` in them has a place as its key.
        total: how they become one number: "mean", each alone, or "sum", all together.
        added: what the model adds to it that is no part of it.
    """

    losses: tuple[Expression, ...]
    total: str = "mean"
    added: str = PENALTIES

    def __call__(self, x: Any, y: Any, outputs: Any, added: Any = 0.0) -> float:
        """The loss of one batch.

        Args:
            x: the data, as the model is given them.
            y: the targets.
            outputs: the model's outputs.
            added: what the model adds.
        """
        numbers = _Numbers({"x": x, "y": y, "output": outputs})
        losses = [numbers.of(loss) for loss in self.losses]
        if self.total == "sum":
            return float(np.sum(sum(losses) + added))
        return float(sum(map(np.mean, losses)) + added)

    @property
    def reconstructions(self) -> set[Place]:
        """The places of the outputs that a loss of Keras compares with the data."""
        return {
            opaque.key[1:]
            for loss in self.losses
            for atom in _atoms(loss)
            if isinstance(atom, Divergence) and atom.output is not None
            for opaque in _atoms(atom.output)
            if isinstance(opaque, Opaque)
        }

    def as_json(self) -> dict[str, Any]:
        """The formula as JSON, for another process."""
        losses = [_as_json(loss) for loss in self.losses]
        return {"losses": losses, "total": self.total, "added": self.added}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Formula":
        """The formula that another process sent as JSON."""
        losses = tuple(_from_json(loss) for loss in content["losses"])
        return cls(losses, content["total"], content["added"])


def formula(
    program: Program,
    losses: Sequence[Value | None],
    compiled: Sequence[Term],
    places: Mapping[Atom, Place],
    total: str = "mean",
    added: str = PENALTIES,
) -> Formula | None:
    """The formula of a sum of losses; None if it has parts that are not read.

    Args:
        program: the script.
        losses: the losses.
        compiled: the reconstruction losses that compile is given by name.
        places: where the ported model finds the tensors that the losses are computed from.
        total: how they become one number: "mean", each alone, or "sum", all together.
        added: what the model adds to it that is no part of it.
    """
    flattens = any(
        library.flattens_the_batch(name, call.arguments)
        for call in program.calls
        for name in call.names
    )
    found = []
    try:
        for loss in losses:
            if not isinstance(loss, Tensor):
                raise _Unread
            found.append(_placed(loss.expression, places, flattens))
        for term in compiled:
            found.append(_placed(of(term.content), places, flattens))  # type: ignore[arg-type]
    except _Unread:
        return None
    return Formula(tuple(found), total, added)


def placed(value: Value | None, place: Place) -> Iterator[tuple[Atom, Place]]:
    """The tensors in a structure, each with its place."""
    if isinstance(value, Items):
        for number, item in enumerate(value.items):
            yield from placed(item, (*place, number))
    elif isinstance(value, Table):
        for key, item in value.entries:
            if isinstance(key, str):
                yield from placed(item, (*place, key))
    elif isinstance(value, Tensor) and (atom := value.expression.atom) is not None:
        yield atom, place


def arguments_of_losses(program: Program, compilations: Sequence[ast.AST]) -> dict[Atom, Place]:
    """The targets and the reconstructions that Keras gives the losses of these calls of compile."""
    found: dict[Atom, Place] = {}
    for step, _ in program.results:
        if step.kind == "loss" and step.node in compilations:
            function = step.function
            names = function.parameters[function.owner is not None :]
            received = program.arguments.get(function.node, {})
            for name, place in zip(names, (TARGET, RECONSTRUCTION), strict=False):
                found |= dict.fromkeys(received.get(name, ()), place)
    return found


def _placed(expression: Expression, places: Mapping[Atom, Place], flattens: bool) -> Expression:
    """An expression whose leaves are places."""

    def whole(one: Expression) -> Expression:
        return Expression(tuple((c, tuple(map(each, atoms))) for c, atoms in one.terms))

    def each(atom: Atom) -> Atom:
        if atom in places:
            return Opaque(places[atom])
        if isinstance(atom, Opaque) and isinstance(atom.key[-1], int):
            source = Opaque(atom.key[:-1])  # an element of what is known
            if source in places:
                return Opaque((*places[source], atom.key[-1]))
        if isinstance(atom, Operation) and atom.name in _OPERATIONS:
            return Operation(atom.name, whole(atom.argument))
        if isinstance(atom, Reduction):
            if atom.shape is None and atom.axes is not None and flattens:
                raise _Unread  # perhaps of a tensor that was flattened before
            return Reduction(
                atom.how, atom.axes, atom.keepdims, whole(atom.argument), _is_flat(atom)
            )
        if isinstance(atom, Divergence) and atom.from_logits is not None:
            if atom.kind in (*_DISTANCES, "binary_crossentropy"):
                target = of(Opaque(TARGET)) if atom.target is None else whole(atom.target)
                given = atom.output
                output = of(Opaque(RECONSTRUCTION)) if given is None else whole(given)
                return Divergence(atom.kind, target, output, atom.from_logits)
        raise _Unread

    return whole(expression)


def _is_flat(reduction: Reduction) -> bool:
    """Whether what is reduced was flattened, with the batch, into a single axis."""
    shape = reduction.shape
    return shape is not None and len(shape) == 1 and isinstance(shape[0], tuple)


def _atoms(expression: Expression) -> Iterator[Atom]:
    """The atoms in an expression, at every depth."""
    for _, atoms in expression.terms:
        for atom in atoms:
            yield atom
            for part in parts(atom):
                yield from _atoms(part)


class _Numbers:
    """Computes expressions whose leaves are places.

    Args:
        found: the data and the outputs.
    """

    def __init__(self, found: Mapping[str, Any]):
        self.found = found

    def of(self, expression: Expression) -> Any:
        total: Any = 0.0
        for coefficient, atoms in expression.terms:
            product: Any = coefficient
            for atom in atoms:
                product = product * self._of_atom(atom)
            total = total + product
        return total

    def _of_atom(self, atom: Atom) -> Any:
        if isinstance(atom, Opaque):
            here: Any = self.found
            for place in atom.key:
                here = here[place]
            return np.asarray(here, "float64")
        if isinstance(atom, Operation):
            return _OPERATIONS[atom.name](self.of(atom.argument))
        if isinstance(atom, Reduction):
            inner = np.asarray(self.of(atom.argument))
            inner = inner.reshape(-1) if atom.shape else inner
            return _REDUCTIONS[atom.how](inner, axis=atom.axes, keepdims=atom.keepdims)
        if isinstance(atom, Divergence) and atom.target is not None and atom.output is not None:
            return self._divergence(atom, self.of(atom.target), self.of(atom.output))
        raise _Unread

    def _divergence(self, atom: Divergence, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = x.reshape(y.shape) if x.size == y.size else x
        if atom.kind in _DISTANCES:
            return np.asarray(_DISTANCES[atom.kind](x - y))
        if atom.from_logits:
            return np.asarray(np.maximum(y, 0) - x * y + np.log1p(np.exp(-np.abs(y))))
        y = np.clip(y, _LEAST, _MOST)
        return np.asarray(-(x * np.log(y) + (1 - x) * np.log(1 - y)))


def _as_json(expression: Expression) -> list[Any]:
    return [[c, [_atom_as_json(atom) for atom in atoms]] for c, atoms in expression.terms]


def _atom_as_json(atom: Atom) -> list[Any]:
    if isinstance(atom, Opaque):
        return ["place", *atom.key]
    if isinstance(atom, Operation):
        return ["operation", atom.name, _as_json(atom.argument)]
    if isinstance(atom, Reduction):
        inner = _as_json(atom.argument)
        return ["reduction", atom.how, atom.axes, atom.keepdims, inner, atom.shape]
    if isinstance(atom, Divergence) and atom.target is not None and atom.output is not None:
        sides = _as_json(atom.target), _as_json(atom.output)
        return ["divergence", atom.kind, *sides, atom.from_logits]
    raise _Unread


def _from_json(content: Sequence[Any]) -> Expression:
    return Expression(tuple((c, tuple(map(_atom_from_json, atoms))) for c, atoms in content))


def _atom_from_json(content: Sequence[Any]) -> Atom:
    kind, *rest = content
    if kind == "place":
        return Opaque(tuple(rest))
    if kind == "operation":
        return Operation(rest[0], _from_json(rest[1]))
    if kind == "reduction":
        how, axes, keepdims, inner, flat = rest
        return Reduction(how, axes and tuple(axes), keepdims, _from_json(inner), flat)
    how, target, output, from_logits = rest
    return Divergence(how, _from_json(target), _from_json(output), from_logits)
