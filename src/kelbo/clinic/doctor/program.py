"""What the interpreter learns of a script: its calls, its classes, its training steps."""

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
        node: the syntax.
        function: what is called.
        arguments: what it is given.
        result: what it returns.
        frame: the names in scope.
        step: the training step that it is part of, if any.
        guarded: whether it stands where the script checks versions or catches an ImportError.
        names: the canonical names of the library functions or classes that are called.
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
        """The name after the last dot, if there is one: "compile" of `model.compile()`."""
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
    """A mention of a name or an attribute that a library supplies.

    Args:
        node: the mention.
        value: what it refers to.
        guarded: as in `Call`.
    """

    node: ast.expr | ast.stmt
    value: Value
    guarded: bool


@dataclass(eq=False)
class SymbolicRead:
    """A symbolic tensor that a training step reads from outside itself.

    Args:
        node: the name or the attribute.
        name: what the script calls the tensor.
        step: the training step.
        function: the function that contains the read: the step's own, or one that it calls.
    """

    node: ast.expr
    name: str
    step: Step
    function: ast.AST


@dataclass(eq=False)
class Program:
    """What is known of a script after it was followed.

    Args:
        tree: its syntax.
        calls: every call, in the order in which the script would make them; a call in a function
            that is used in several places appears several times.
        readings: every mention of a library.
        symbolic_reads: the reads of symbolic tensors in training steps, at which recipes 1 and 2
            fail.
        classes: every class.
        functions: every function.
        values: the value of each expression when it was last evaluated.
        results: each training step, and what its function returned.
        origins: by the id of a tensor, the tensor and the expression that first made it.
        names: what the script calls a tensor; the first name first.
        arguments: by the definition of a function, the tensors that each of its arguments was.
        changes_activations: whether the script sets the activation of a layer after making it; if
            so, the output of a layer made without one is uncertain.
        names_legacy: whether a string of the script is TF_USE_LEGACY_KERAS.
        visits: the number of syntax nodes visited.
        known: the results that `once` keeps.
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
    names_legacy: bool = False
    visits: int = 0
    known: dict[Callable[..., Any], Any] = field(default_factory=dict)

    def value(self, node: ast.AST) -> Value:
        """The value of an expression."""
        return self.values.get(node, UNKNOWN)

    def calls_of(self, *names: str) -> Iterator[Call]:
        """The calls of library functions or classes, by their canonical names."""
        wanted = set(names)
        return (call for call in self.calls if call.names & wanted)

    def method_calls(self, *methods: str) -> Iterator[Call]:
        """The calls of methods by their bare names, such as "compile", on any object."""
        return (call for call in self._method_calls if call.method in methods)

    @cached_property
    def _method_calls(self) -> list[Call]:
        return [call for call in self.calls if call.method and not call.names]

    @cached_property
    def tensors(self) -> list[tuple[ast.AST, Tensor]]:
        """The expressions that are tensors, each with its tensor."""
        return [(node, value) for node, value in self.values.items() if isinstance(value, Tensor)]

    def instances(self, *names: str) -> Iterator[tuple[Call, Instance]]:
        """The calls that make objects of library classes, by canonical names, with the objects."""
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
        """Whether the script mentions one of these libraries, by a name such as "keras"."""
        return any(
            name == module or name.startswith(f"{module}.")
            for reading in self.readings
            for name in known_names(reading.value)
            for module in modules
        )

    @cached_property
    def mentions_tf_keras(self) -> bool:
        """Whether the script mentions tf_keras, the package of Keras 2."""
        return any(
            isinstance(option, Known) and option.spelled.startswith("tf_keras")
            for reading in self.readings
            for option in options(reading.value)
        )

    @cached_property
    def asks_for_keras_2(self) -> bool:
        """Whether the script sets TF_USE_LEGACY_KERAS or mentions tf_keras."""
        return self.names_legacy or self.mentions_tf_keras

    def origin(self, value: Tensor, otherwise: ast.AST) -> ast.AST:
        """The expression that first made a tensor; `otherwise` if it is not known."""
        return self.origins.get(id(value), (value, otherwise))[1]

    def names_of(self, value: Tensor | Expression) -> list[str]:
        """What the script calls a tensor, the first name first; empty if it has no name."""
        opaque = value.opaque
        if opaque is None:
            return []
        return self.names.get(opaque) or [opaque.name] * bool(opaque.name)


def once(compute: Callable[[Program], _Result]) -> Callable[[Program], _Result]:
    """Make a function of a program compute its result once and keep it for every rule."""

    @wraps(compute)
    def kept(program: Program) -> _Result:
        if compute not in program.known:
            program.known[compute] = compute(program)
        return program.known[compute]

    return kept
