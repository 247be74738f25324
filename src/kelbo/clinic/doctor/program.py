"""What became known of a script: its calls, its classes, what runs in the training step."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

from kelbo.clinic.doctor.expressions import Expression, Opaque
from kelbo.clinic.doctor.values import (
    UNKNOWN,
    Arguments,
    Attribute,
    Class,
    Frame,
    Function,
    Instance,
    Known,
    Step,
    Tensor,
    Value,
    known_names,
    options,
)

# The environment variable that makes tensorflow.keras Keras 2.
LEGACY = "TF_USE_LEGACY_KERAS"

_Result = TypeVar("_Result")


@dataclass(eq=False)
class Call:
    """A call that the script makes.

    Args:
        node: where.
        function: what is called.
        arguments: with what.
        result: what comes out.
        frame: the names around it.
        step: the training step that it is part of, if any.
        guarded: whether the script looks at versions, or catches ImportError, around it.
        names: the names of the library functions, or the library classes, that are called.
    """

    node: ast.Call
    function: Value
    arguments: Arguments
    result: Value
    frame: Frame
    step: Step | None
    guarded: bool
    names: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = known_names(self.function)

    @property
    def method(self) -> str | None:
        """The name behind the last dot, where a method of an object is called."""
        return self.node.func.attr if isinstance(self.node.func, ast.Attribute) else None

    @property
    def owners(self) -> tuple[Value, ...]:
        """The objects whose method is called, as far as they are known."""
        return tuple(
            owner
            for option in options(self.function)
            if isinstance(option, Attribute)
            for owner in options(option.owner)
        )


@dataclass(eq=False)
class Reading:
    """A name or an attribute that a library supplies, where the script mentions it.

    Args:
        node: where.
        value: what it is.
        guarded: as of a call.
    """

    node: ast.expr | ast.stmt
    value: Value
    guarded: bool


@dataclass(eq=False)
class SymbolicRead:
    """A symbolic tensor that a training step finds outside.

    Args:
        node: the name or the attribute.
        name: what the script calls it.
        step: which step.
        function: the function whose code it stands in, which the step may have called.
    """

    node: ast.expr
    name: str
    step: Step
    function: ast.AST


@dataclass(eq=False)
class Program:
    """A script, read.

    Args:
        tree: its syntax.
        calls: every call, in the order in which the script would make them; a call in a function
            that is used in several places is there several times.
        readings: every mention of a library.
        symbolic_reads: what recipe 1 and 2 fail at.
        classes: every class.
        functions: every function.
        values: what an expression was when it was last looked at.
        results: what a function returned when it ran as a training step.
        origins: for the identity of a tensor, the tensor and the expression that made it first.
        names: what the script calls a tensor; the first name first.
        arguments: of a function, by its definition: the tensors that its arguments were.
        changes_activations: whether it sets the activation of some layer after that was made, so
            that nothing is sure of what a layer without one puts out.
        visits: how many pieces of syntax were looked at.
        known: what `once` has computed of it.
    """

    tree: ast.Module
    calls: list[Call] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    symbolic_reads: list[SymbolicRead] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    values: dict[ast.AST, Value] = field(default_factory=dict)
    results: list[tuple[Step, Value]] = field(default_factory=list)
    origins: dict[int, tuple[Tensor, ast.AST]] = field(default_factory=dict)
    names: dict[Opaque, list[str]] = field(default_factory=dict)
    arguments: dict[ast.AST, dict[str, set[Opaque]]] = field(default_factory=dict)
    changes_activations: bool = False
    visits: int = 0
    known: dict[Callable[..., Any], Any] = field(default_factory=dict)

    def value(self, node: ast.AST) -> Value:
        """What an expression is."""
        return self.values.get(node, UNKNOWN)

    def calls_of(self, *names: str) -> Iterator[Call]:
        """The calls of library functions or classes, by their canonical names."""
        wanted = set(names)
        return (call for call in self.calls if call.names & wanted)

    def method_calls(self, *methods: str) -> Iterator[Call]:
        """The calls of methods by their bare names, as "compile", whatever object they are of."""
        return (call for call in self._method_calls if call.method in methods)

    @cached_property
    def _method_calls(self) -> list[Call]:
        return [call for call in self.calls if call.method and not call.names]

    @cached_property
    def tensors(self) -> list[tuple[ast.AST, Tensor]]:
        """The expressions that are tensors, and these."""
        return [(node, value) for node, value in self.values.items() if isinstance(value, Tensor)]

    def instances(self, *names: str) -> Iterator[tuple[Call, Instance]]:
        """The objects that the script makes of library classes, by canonical names."""
        wanted = set(names)
        for call in self.calls:
            for option in options(call.result):
                if (
                    isinstance(option, Instance)
                    and isinstance(option.of, Known)
                    and option.of.name in wanted
                ):
                    yield call, option

    def reads_by_function(self, *kinds: str) -> Iterator[list[SymbolicRead]]:
        """For each function that runs in a step of these kinds: its reads, one for each name."""
        found: dict[ast.AST, dict[str, SymbolicRead]] = {}
        for read in self.symbolic_reads:
            if read.step.kind in kinds:
                found.setdefault(read.function, {}).setdefault(read.name, read)
        return (list(reads.values()) for reads in found.values())

    def uses(self, *modules: str) -> bool:
        """Whether the script mentions a library, by its canonical name: "keras"."""
        return any(
            name == module or name.startswith(f"{module}.")
            for reading in self.readings
            for name in known_names(reading.value)
            for module in modules
        )

    @cached_property
    def mentions_tf_keras(self) -> bool:
        """Whether the script takes something from the package of Keras 2."""
        return any(
            isinstance(option, Known) and option.spelled.startswith("tf_keras")
            for reading in self.readings
            for option in options(reading.value)
        )

    @cached_property
    def asks_for_keras_2(self) -> bool:
        """Whether the script sets TF_USE_LEGACY_KERAS or mentions tf_keras."""
        return self.mentions_tf_keras or any(
            isinstance(node, ast.Constant) and node.value == LEGACY for node in ast.walk(self.tree)
        )

    def origin(self, value: Tensor, otherwise: ast.AST) -> ast.AST:
        """The expression that made a tensor, or else what is given."""
        return self.origins.get(id(value), (value, otherwise))[1]

    def names_of(self, value: Tensor | Expression) -> list[str]:
        """What the script calls a tensor, the first name first; empty if it has none."""
        opaque = value.opaque
        if opaque is None:
            return []
        return self.names.get(opaque) or [opaque.name] * bool(opaque.name)


def once(compute: Callable[[Program], _Result]) -> Callable[[Program], _Result]:
    """Let a function of a script compute its result for the first rule that asks, and keep it."""

    @wraps(compute)
    def kept(program: Program) -> _Result:
        if compute not in program.known:
            program.known[compute] = compute(program)
        return program.known[compute]

    return kept
