"""What can be known of a script's values without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kelbo.clinic.doctor.expressions import Expression, Opaque

# A size; of a batch it is None, and of axes that were flattened into one it is all of theirs.
Size = int | None | tuple[Any, ...]
Shape = tuple[Size, ...]


@dataclass(frozen=True)
class Unknown:
    """Anything."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Known:
    """Something of a library: a module, a function or a class.

    Args:
        name: one name for all spellings, as `keras.backend.mean`.
        spelled: what the script imports, as `tensorflow.keras.backend.mean`.
    """

    name: str
    spelled: str


@dataclass(frozen=True)
class Constant:
    """A number, a string, True, False or None."""

    value: Any


# What is longer or nested deeper than this is no structure of tensors.
_MOST_ITEMS = 32
_MOST_LEVELS = 4


@dataclass(frozen=True)
class Items:
    """A list or a tuple."""

    items: tuple["Value", ...]

    @cached_property
    def levels(self) -> int:
        """How deep lists are nested in it."""
        return 1 + max((i.levels for i in self.items if isinstance(i, Items | Table)), default=0)


@dataclass(frozen=True)
class Table:
    """A dict; a key is None where it is not known."""

    entries: tuple[tuple[Any, "Value"], ...]

    @cached_property
    def levels(self) -> int:
        """How deep lists are nested in it."""
        below = (item for _, item in self.entries)
        return 1 + max((i.levels for i in below if isinstance(i, Items | Table)), default=0)


@dataclass(frozen=True)
class Tensor:
    """A tensor.

    Args:
        expression: how it is computed from others.
        shape: with the batch first; None if it cannot be told.
        symbolic: whether it is a placeholder of a functional model, which holds no numbers.
        activation: of the layer that made it, by name, "linear" included; None where it is unknown.
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
    """What `owner.name` is, where nothing more is known; most often a method."""

    owner: "Value"
    name: str


class Version(Attribute):
    """What depends on which Keras is there."""


VERSION = Version(UNKNOWN, "__version__")


@dataclass(frozen=True)
class Choice:
    """One of several: what differs between the branches of a script."""

    options: tuple["Value", ...]


@dataclass(frozen=True)
class Arguments:
    """What a call is given.

    Args:
        positional: without names.
        keywords: with names.
        more: whether a `*` or a `**` may hand over others.
    """

    positional: tuple["Value", ...] = ()
    keywords: tuple[tuple[str, "Value"], ...] = ()
    more: bool = False

    def get(self, position: int | None, *names: str) -> "Value | None":
        """The argument at a position or of a name; None where it is surely not given."""
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
        parent: where a name is looked up that is not here.
        step: the training step it runs in, if any.
        layers: bindings, one dictionary for each branch that is open.
        elsewhere: the names that `global` and `nonlocal` say are bound in another frame.
        stars: the modules of which all names were imported.
        returns: what the function has returned so far.
    """

    parent: "Frame | None" = None
    step: "Step | None" = None
    layers: list[dict[str, "Value"]] = field(default_factory=lambda: [{}])
    elsewhere: dict[str, "Frame"] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    returns: list["Value"] = field(default_factory=list)

    def find(self, name: str) -> "Value | None":
        """The value of a name that is bound here."""
        for layer in reversed(self.layers):
            if name in layer:
                return layer[name]
        return None

    def bind(self, name: str, value: "Value") -> None:
        """Give a name a value, where `global` or `nonlocal` says."""
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
        owner: the object whose method it is.
        decorators: what stands above it.
        partial: what functools.partial gives it, each with the name if it has one.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    owner: "Instance | None" = None
    decorators: tuple["Value", ...] = ()
    partial: tuple[tuple[str | None, ast.expr], ...] = ()

    @property
    def name(self) -> str:
        """Its name, for a sentence."""
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def parameters(self) -> list[str]:
        """The names of its arguments, without *args and **kwargs."""
        arguments = self.node.args
        return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


@dataclass(eq=False)
class Class:
    """A class of the script.

    Args:
        node: its definition.
        frame: where it was defined.
        bases: what it inherits from.
        body: what its body binds.
        decorators: what stands above it.
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

    def find(self, name: str) -> "Value | None":
        """What the class, or a class of the script that it inherits from, binds to a name."""
        seen = set()
        todo: list[Value] = [self]
        while todo:
            here = todo.pop(0)
            if isinstance(here, Class) and here not in seen:
                seen.add(here)
                if name in here.body:
                    return here.body[name]
                todo.extend(here.bases)
        return None

    @property
    def lineage(self) -> set[str]:
        """The names of all library classes that it inherits from."""
        names, seen = set(), set()
        todo: list[Value] = [self]
        while todo:
            here = todo.pop()
            if isinstance(here, Class) and here not in seen:
                seen.add(here)
                todo.extend(here.bases)
            names |= known_names(here)
        return names

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
        arguments: what it was made of.
        attributes: what the script set.
        inputs: of a functional model, its inputs.
        outputs: of a functional model, its outputs.
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
        function: which.
        node: where the script hands it to Keras, as the call of compile.
    """

    kind: str
    function: Function
    node: ast.AST | None = None


Value = (
    Unknown
    | Known
    | Constant
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
    """A list or a dict, or UNKNOWN where it is too large to be a structure of tensors."""
    count = len(value.items) if isinstance(value, Items) else len(value.entries)
    return value if count <= _MOST_ITEMS and value.levels <= _MOST_LEVELS else UNKNOWN


def options(value: Value | None) -> tuple[Value, ...]:
    """All that a value may be."""
    if value is None:
        return ()
    return value.options if isinstance(value, Choice) else (value,)


def join(values: list[Value]) -> Value:
    """What a value is that comes from several branches."""
    if len(values) == 1:
        return values[0]
    # The spellings of one library thing are no alternatives.
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
    """The names of the library things that a value may be."""
    return {option.name for option in options(value) if isinstance(option, Known)}


def is_symbolic(value: Value | None) -> bool:
    """Whether a value is a symbolic tensor, or holds one, in every branch."""
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


# What keras.layers has beside layers.
_NO_LAYERS = {"Input", "InputSpec", "InputLayer"}


def is_layer_name(name: str) -> bool:
    """Whether a library class is a Keras layer."""
    head, _, last = name.rpartition(".")
    if is_model_name(name):
        return True
    layers = head.startswith("keras.layers") or head.startswith("keras.engine") or last == "Layer"
    return name.startswith("keras.") and layers and last[:1].isupper() and last not in _NO_LAYERS
