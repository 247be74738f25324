"""Follows a reconstruction back to the mu of a KL term."""

from collections.abc import Iterable

from kelbo.clinic.doctor.divergence import KL
from kelbo.clinic.doctor.expressions import Expression, Noise, Opaque, Reduction, of, parts
from kelbo.clinic.doctor.origins import atoms_of, origins_of
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.values import (
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Known,
    Table,
    Tensor,
    Value,
    options,
)

_INPUTS = {"keras.Input", "keras.layers.Input"}
_LIBRARIES = ("builtins.", "keras.", "numpy.", "tensorflow.")
# What may draw noise, by a part of its name.
_DRAWS = ("random", "noise", "gaussiandropout", "alphadropout", "distributions", "sample")
# Methods that may be given log_var and draw nothing.
_KEEPERS = ("add_loss", "add_metric", "append", "update_state")


class _Lost(Exception):
    """Something on the way is not known, or it is log_var or noise."""


class MeanRoute:
    """The way from a reconstruction back to mu.

    Args:
        program: the script.
        kl: the KL term with mu and log_var.
    """

    def __init__(self, program: Program, kl: KL):
        self._program = program
        self._origins = origins_of(program)
        self._mean = set(self._same(kl.mean.opaque)) if kl.mean.opaque is not None else set()
        self._log_var = {
            same
            for atom in atoms_of(Tensor(kl.log_var))
            if isinstance(atom, Opaque)
            for same in self._same(atom)
        }
        self._seen: set[Opaque] = set()
        self._entry: Call | None = None

    def entry(self, tensor: Tensor) -> Call | None:
        """The call of a layer or a model that is given mu.

        None if a tensor is not made of mu, or noise, log_var or something unknown is on the way.

        Args:
            tensor: the reconstruction.
        """
        self._seen.clear()
        self._entry = None
        try:
            self._follow(tensor.expression, None)
        except _Lost:
            return None
        return self._entry

    @property
    def log_var_is_used(self) -> bool:
        """Whether log_var meets noise anywhere, or goes into something that may draw noise."""
        for _, tensor in self._program.tensors:
            atoms = [*atoms_of(tensor)]
            if self._has_log_var(atoms) and any(isinstance(atom, Noise) for atom in atoms):
                return True
        return any(
            self._has_log_var(_given(call))
            and call.method not in _KEEPERS
            and not all(map(_is_free_of_noise, options(call.function)))
            for call in self._program.calls
        )

    def _has_log_var(self, atoms: Iterable[object]) -> bool:
        tensors = (atom for atom in atoms if isinstance(atom, Opaque))
        return any(_overlap(one, other) for one in tensors for other in self._log_var)

    def _same(self, opaque: Opaque) -> list[Opaque]:
        """A tensor, and what it is inside the models that passed it on."""
        inside = self._origins.inside(Tensor(of(opaque)))
        found = (value.opaque for value in inside if isinstance(value, Tensor))
        return [opaque, *(one for one in found if one is not None)]

    def _follow(self, expression: Expression, user: Call | None) -> bool:
        """Go back from an expression that a call uses; whether it is made of mu."""
        found = False
        for _, atoms in expression.terms:
            for atom in atoms:
                if isinstance(atom, Noise):
                    raise _Lost
                if isinstance(atom, Opaque):
                    found |= self._follow_tensor(atom, user)
                for part in parts(atom):
                    found |= self._follow(part, user)
        return found

    def _follow_tensor(self, tensor: Opaque, user: Call | None) -> bool:
        same = self._same(tensor)
        if self._has_log_var(same):
            raise _Lost
        if self._mean.intersection(same):
            self._entry = self._entry or user
            return True
        if tensor in self._seen:
            return False
        self._seen.add(tensor)
        made = self._origins.call(Tensor(of(tensor)))
        if made is None:
            raise _Lost
        call, place = made
        if call.names & _INPUTS:
            return False
        inside = self._origins.made_of(call, place)
        if inside is None:
            if not all(map(_is_known_layer, options(call.function))):
                raise _Lost
        elif self._follow_value(inside, call):
            return True
        return any([self._follow_value(value, call) for value in call.arguments])

    def _follow_value(self, value: Value, user: Call) -> bool:
        if isinstance(value, Items):
            return any([self._follow_value(item, user) for item in value.items])
        if isinstance(value, Tensor):
            return self._follow(value.expression, user)
        if not isinstance(value, Constant):
            raise _Lost
        return False


def _overlap(one: Opaque, other: Opaque) -> bool:
    """Whether two tensors are one, or one is a part of the other."""
    length = min(len(one.key), len(other.key))
    return one.key[:length] == other.key[:length]


def _given(call: Call) -> list[object]:
    """What a call is given. A sum or a mean is left out: no z is made of a loss."""
    found: list[object] = []
    todo: list[Value | Expression] = [*call.arguments]
    while todo:
        here = todo.pop()
        if isinstance(here, Expression):
            atoms = [atom for _, product in here.terms for atom in product]
            found += atoms
            left = [atom for atom in atoms if not isinstance(atom, Reduction)]
            todo.extend(part for atom in left for part in parts(atom))
        elif isinstance(here, Tensor):
            todo.append(here.expression)
        elif isinstance(here, Items):
            todo.extend(here.items)
        elif isinstance(here, Table):
            todo.extend(item for _, item in here.entries)
        elif len(options(here)) > 1:
            todo.extend(options(here))
    return found


def _is_free_of_noise(function: Value) -> bool:
    """Whether a function is the script's own, or of a library and draws nothing."""
    if isinstance(function, Instance):
        function = function.of
    return isinstance(function, Function | Class) or _draws_nothing(function)


def _draws_nothing(function: Value) -> bool:
    name = function.name if isinstance(function, Known) else ""
    return name.startswith(_LIBRARIES) and not any(word in name.lower() for word in _DRAWS)


def _is_known_layer(function: Value) -> bool:
    """Whether a function is a layer or a function of a library whose result has no noise."""
    if not isinstance(function, Instance):
        return _draws_nothing(function)
    if not isinstance(function.of, Known) or function.of.name.endswith(".Lambda"):
        return False
    layers = function.arguments.get(0, "layers")
    if function.of.name.endswith(".Sequential"):
        return isinstance(layers, Items) and all(map(_is_known_item, layers.items))
    return _draws_nothing(function.of)


def _is_known_item(layer: Value) -> bool:
    return isinstance(layer, Tensor) or isinstance(layer, Instance) and _is_known_layer(layer)
