"""What is known of a script's values without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kelbo.clinic.doctor.expressions import Expression, Opaque

# A size: None for the batch, a tuple of sizes for axes that were flattened into one.
Size = int | None | tuple[Any, ...]
Shape = tuple[Size, ...]


@dataclass(frozen=True)
class Unknown:
    """A value of which nothing is known."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Known:
    """Something from a library: a module, a function or a class.

    Args:
        name: one name for all spellings, such as `keras.backend.mean`.
        spelled: the name that the script imports, such as `tensorflow.keras.backend.mean`.
    """

    name: str
    spelled: str


@dataclass(frozen=True)
class Constant:
    """A number, a string, True, False or None."""

    value: Any


@dataclass(frozen=True)
class Text:
    """A string or a path of which only the end is known."""

    end: str


# No structure of tensors is longer or nested deeper.
_MOST_ITEMS = 32
_MOST_LEVELS = 4


@dataclass(frozen=True)
class Items:
    """A list or a tuple."""

    items: tuple["Value", ...]

    @cached_property
    def levels(self) -> int:
        """How deep lists are nested in it, itself included."""
        return 1 + max((i.levels for i in self.items if isinstance(i, Items | Table)), default=0)


@dataclass(frozen=True)
class Table:
    """A dict; a key that is not known is None."""

    entries: tuple[tuple[Any, "Value"], ...]

    @cached_property
    def levels(self) -> int:
        """How deep lists are nested in it, itself included."""
        below = (item for _, item in self.entries)
        return 1 + max((i.levels for i in below if isinstance(i, Items | Table)), default=0)


@dataclass(frozen=True)
class Tensor:
    """A tensor.

    Args:
        expression: how it is computed from others.
        shape: its shape, with the batch first; None if it cannot be told.
        symbolic: whether it is a placeholder of a functional model, which holds no numbers.
        activation: the activation of the layer that made it, "linear" included; None if unknown.
    """

    expression: Expression
    shape: Shape | None = None
    symbolic: bool = False
    activation: str | None = None

    @property
    def opaque(self) -> Opaque | None:
        """The source of a tensor that is not computed from others."""
        return self.expression.opaque


@dataclass(frozen=True)
class Attribute:
    """`owner.name` where nothing more is known of it; most often a method."""

    owner: "Value"
    name: str


class Version(Attribute):
    """A value that depends on the version of a library."""


VERSION = Version(UNKNOWN, "__version__")


@dataclass(frozen=True)
class Super(Attribute):
    """`super()` in a method.

    Args:
        owner: the object whose method it is.
        of: the class that defines the method.
    """

    of: "Class"


@dataclass(frozen=True)
class Choice:
    """One of several values, from different branches of the script."""

    options: tuple["Value", ...]


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call.

    Args:
        positional: those without names.
        keywords: those with names.
        more: whether a `*` or a `**` may supply others.
    """

    positional: tuple["Value", ...] = ()
    keywords: tuple[tuple[str, "Value"], ...] = ()
    more: bool = False

    def get(self, position: int | None, *names: str) -> "Value | None":
        """The argument at a position or of a name; None if it is certainly not given."""
        for name, value in self.keywords:
            if name in names:
                return value
        if position is not None and position < len(self.positional):
            return self.positional[position]
        return UNKNOWN if self.more else None

    @property
    def all(self) -> Items:
        """Every argument, in one list."""
        return Items(tuple(self))

    def __iter__(self) -> Iterator["Value"]:
        yield from self.positional
        yield from (value for _, value in self.keywords)


@dataclass(eq=False)
class Frame:
    """The names of a module, a function or a class while it runs.

    Args:
        parent: where names that are not here are looked up.
        step: the training step it runs in, if any.
        layers: bindings, one dictionary for each open branch.
        elsewhere: the names that `global` and `nonlocal` bind in another frame.
        stars: the modules imported with `from ... import *`.
        returns: what the function has returned so far.
        function: the function.
        loops: how many loops of it are open.
        over: whether it has certainly returned before, so that what follows does not count.
    """

    parent: "Frame | None" = None
    step: "Step | None" = None
    layers: list[dict[str, "Value"]] = field(default_factory=lambda: [{}])
    elsewhere: dict[str, "Frame"] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    returns: list["Value"] = field(default_factory=list)
    function: "Function | None" = None
    loops: int = 0
    over: bool = False

    def find(self, name: str) -> "Value | None":
        """The value of a name that is bound here, or None."""
        for layer in reversed(self.layers):
            if name in layer:
                return layer[name]
        return None

    def bind(self, name: str, value: "Value") -> None:
        """Bind a name; in another frame if `global` or `nonlocal` says so."""
        if name in self.elsewhere:
            self.elsewhere[name].bind(name, value)
        else:
            self.layers[-1][name] = value


@dataclass(eq=False)
class Function:
    """A function of the script, or a lambda.

    Args:
        node: its definition.
        frame: where it was defined.
        owner: the object whose method it is; the class, for a classmethod.
        decorators: its decorators.
        partial: the arguments that functools.partial gives it, each with its name or None.
        home: the class that defines it.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    owner: "Instance | Class | None" = None
    decorators: tuple["Value", ...] = ()
    partial: tuple[tuple[str | None, ast.expr], ...] = ()
    home: "Class | None" = None

    @property
    def name(self) -> str:
        """Its name, for a sentence."""
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def parameters(self) -> list[str]:
        """The names of its arguments, without *args and **kwargs."""
        arguments = self.node.args
        return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]

    def is_a(self, *kinds: str) -> bool:
        """Whether it has one of these decorators, such as "builtins.property"."""
        return any(known_names(decorator) & {*kinds} for decorator in self.decorators)


@dataclass(eq=False)
class Class:
    """A class of the script.

    Args:
        node: its definition.
        frame: where it was defined.
        bases: its base classes.
        body: the names that its body binds.
        decorators: its decorators.
    """

    node: ast.ClassDef
    frame: Frame
    bases: tuple["Value", ...]
    body: dict[str, "Value"]
    decorators: tuple["Value", ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name

    @cached_property
    def ancestry(self) -> "tuple[Value, ...]":
        """The class itself and all that it inherits from, the nearest first."""
        found: dict[Value, None] = {}
        todo: list[Value] = [self]
        while todo:
            here = todo.pop(0)
            if here not in found:
                found[here] = None
                todo.extend(here.bases if isinstance(here, Class) else ())
        return tuple(found)

    def find(self, name: str) -> "Value | None":
        """What the class, or a base of it in the script, binds to a name; None if none does."""
        for here in self.ancestry:
            if isinstance(here, Class) and name in here.body:
                return here.body[name]
        return None

    @property
    def methods(self) -> "list[Function]":
        """The methods of its objects, inherited ones included."""
        found: dict[str, Value] = {}
        for here in reversed(self.ancestry):
            found |= here.body if isinstance(here, Class) else {}
        return [value for value in found.values() if isinstance(value, Function)]

    @cached_property
    def lineage(self) -> set[str]:
        """The names of all library classes that it inherits from."""
        return {name for here in self.ancestry for name in known_names(here)}

    @property
    def is_layer(self) -> bool:
        """Whether its objects are Keras layers; models are layers too."""
        return any(is_layer_name(name) for name in self.lineage)

    @property
    def is_model(self) -> bool:
        """Whether its objects are Keras models."""
        return any(is_model_name(name) for name in self.lineage)


@dataclass(eq=False)
class Instance:
    """An object of a class of the script or of a library.

    Args:
        of: the class.
        node: the call that made it.
        arguments: the arguments of that call.
        attributes: those that the script set.
        inputs: the inputs of a functional model.
        outputs: the outputs of a functional model.
    """

    of: Class | Known
    node: ast.AST | None
    arguments: Arguments = Arguments()
    attributes: dict[str, "Value"] = field(default_factory=dict)
    inputs: "Value | None" = None
    outputs: "Value | None" = None

    @property
    def is_layer(self) -> bool:
        """Whether it is a Keras layer; models are layers too."""
        return self.of.is_layer if isinstance(self.of, Class) else is_layer_name(self.of.name)

    @property
    def is_model(self) -> bool:
        """Whether it is a Keras model."""
        return self.of.is_model if isinstance(self.of, Class) else is_model_name(self.of.name)


@dataclass(eq=False)
class Step:
    """A function that Keras runs in every training step.

    Args:
        kind: "loss", "metric", "call", "train_step", "test_step", "compute_loss", "tf.function".
        function: the function.
        node: where the script passes it to Keras, such as the call of compile.
    """

    kind: str
    function: Function
    node: ast.AST | None = None


Value = (
    Unknown
    | Known
    | Constant
    | Text
    | Items
    | Table
    | Tensor
    | Attribute
    | Choice
    | Function
    | Class
    | Instance
)


def bounded(value: Items | Table) -> Value:
    """A list or a dict; UNKNOWN if it is too large to be a structure of tensors."""
    count = len(value.items) if isinstance(value, Items) else len(value.entries)
    return value if count <= _MOST_ITEMS and value.levels <= _MOST_LEVELS else UNKNOWN


def options(value: Value | None) -> tuple[Value, ...]:
    """All that a value may be."""
    if value is None:
        return ()
    return value.options if isinstance(value, Choice) else (value,)


def truth(value: Value) -> bool | None:
    """Whether a value counts as true in a condition; None if that is not known."""
    if isinstance(value, Constant):
        return bool(value.value)
    # A list that is empty here may have been filled since by a method.
    full = isinstance(value, Items) and bool(value.items)
    return True if full or isinstance(value, Function | Class | Instance) else None


def is_same(one: Value, other: Value) -> bool | None:
    """Whether two values are one constant; None if that is not known."""
    if isinstance(one, Constant) and isinstance(other, Constant):
        return bool(one.value == other.value)
    # What is made of something is not None.
    values = [value for value in (one, other) if value != Constant(None)]
    made = isinstance(values[0], Items | Table | Function | Class | Instance)
    return False if len(values) == 1 and made else None


def join(values: list[Value]) -> Value:
    """The value of something that several branches make."""
    if len(values) == 1:
        return values[0]
    # Two spellings of one library name are not alternatives.
    flat = list(
        {
            option.name if isinstance(option, Known) else option: option
            for value in reversed(values)
            for option in reversed(options(value))
        }.values()
    )[::-1]
    if not flat or len(flat) > 4:
        return UNKNOWN
    return flat[0] if len(flat) == 1 else Choice(tuple(flat))


def known_names(value: Value | None) -> set[str]:
    """The canonical names of the library things that a value may be."""
    return {option.name for option in options(value) if isinstance(option, Known)}


def is_symbolic(value: Value | None) -> bool:
    """Whether a value is or contains a symbolic tensor in every branch."""
    if isinstance(value, Tensor):
        return value.symbolic
    if isinstance(value, Items):
        return any(is_symbolic(item) for item in value.items)
    if isinstance(value, Table):
        return any(is_symbolic(item) for _, item in value.entries)
    return isinstance(value, Choice) and all(is_symbolic(option) for option in value.options)


def is_model_name(name: str) -> bool:
    """Whether a library class is a Keras model."""
    return name.startswith("keras.") and name.endswith((".Model", ".Sequential", ".Functional"))


# Classes of keras.layers that are not layers.
_NO_LAYERS = {"Input", "InputSpec", "InputLayer"}


def is_layer_name(name: str) -> bool:
    """Whether a library class is a Keras layer."""
    head, _, last = name.rpartition(".")
    if is_model_name(name):
        return True
    layers = head.startswith("keras.layers") or head.startswith("keras.engine") or last == "Layer"
    return name.startswith("keras.") and layers and last[:1].isupper() and last not in _NO_LAYERS
