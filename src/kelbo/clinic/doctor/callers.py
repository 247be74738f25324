"""How another file would use what a script defines: in which order, and with which objects."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.values import (
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Value,
    options,
)
from kelbo.clinic.doctor.words import dotted

# What everybody asks of a model of Keras.
_OF_MODELS = set(
    "add_loss add_metric compile count_params evaluate evaluate_generator fit fit_generator "
    "get_config get_layer get_weights input input_shape inputs layers load_weights losses metrics "
    "metrics_names name optimizer output output_shape outputs predict predict_generator "
    "predict_on_batch save save_weights set_weights stop_training summary test_on_batch to_json "
    "train_on_batch trainable trainable_variables trainable_weights weights".split()
)
# The names that Keras gives to the arguments of a loss.
_TARGETS = ("y_true", "true", "target", "targets")
_OUTPUTS = ("y_pred", "pred", "output", "outputs")


@dataclass(frozen=True)
class Made:
    """An object that the callers of a script have.

    Args:
        instance: the object.
        names: what the script calls it, or its class, in lower case.
    """

    instance: Instance
    names: frozenset[str]

    def has(self, attributes: Collection[str]) -> bool:
        """Whether it has all of some attributes, as far as that is known."""
        of = self.instance.of
        return all(
            name in self.instance.attributes
            or isinstance(of, Class)
            and of.find(name) is not None
            or self.instance.is_model
            and name in _OF_MODELS
            for name in attributes
        )

    def is_a(self, name: str) -> bool:
        """Whether a type of this name may be its class."""
        of = self.instance.of
        return name == of.name.rpartition(".")[2] or name == "Model" and self.instance.is_model


def in_order(methods: Sequence[Function], instance: Instance) -> list[Function]:
    """The methods of an object in an order in which one can call them.

    First come those that set what others read, and those that the others do not call themselves.

    Args:
        methods: the methods.
        instance: the object, which may have some attributes already.
    """
    if len(methods) == 1:
        return [*methods]
    there = {name for name, value in instance.attributes.items() if value != Constant(None)}
    uses = {method: _Uses(method, there) for method in methods}
    read = Counter(name for use in uses.values() for name in use.read)
    made = Counter(name for use in uses.values() for name in use.made)
    ordered = []
    while uses:
        # What it reads or sets itself does not count.
        method = min(
            uses,
            key=lambda method: (
                any(made[name] > (name in uses[method].made) for name in uses[method].read),
                read[method.name] > (method.name in uses[method].read),
            ),
        )
        use = uses.pop(method)
        read -= Counter(use.read)
        made -= Counter(use.made)
        ordered.append(method)
    return ordered


class _Uses:
    """The attributes of its object that a method reads, and those that it sets.

    Args:
        method: the method.
        there: the attributes that need not be set any more.
    """

    def __init__(self, method: Function, there: Collection[str]):
        found = {(name, sets) for _, name, sets in _attributes(method, method.parameters[:1])}
        self.read = {name for name, sets in found if not sets and name not in there}
        self.made = {name for name, sets in found if sets}


def _attributes(function: Function, names: Collection[str]) -> Iterator[tuple[str, str, bool]]:
    """The attributes of some names that a function mentions, each with whether it sets it."""
    return (found for found in _mentioned(function.node) if found[0] in names)


@lru_cache(maxsize=256)
def _mentioned(function: ast.AST) -> list[tuple[str, str, bool]]:
    """The names in a function, and the attributes that are read or set of them, each once."""
    found = {}
    todo = [function]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found[node.value.id, node.attr, isinstance(node.ctx, ast.Store)] = True
            continue
        for below in vars(node).values():
            if isinstance(below, ast.AST):
                todo.append(below)
            elif isinstance(below, list):
                todo.extend(one for one in below if isinstance(one, ast.AST))
    return list(found)


def is_loss(function: Function) -> bool:
    """Whether a function that nothing calls is a loss for compile, by its name and arguments."""
    spec = function.node.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    names = names[function.owner is not None :]
    if len(names) - len(spec.defaults) != 2 or spec.vararg or spec.kwonlyargs:
        return False
    first, second = names[:2]
    return "loss" in function.name.lower() or first in _TARGETS and second in _OUTPUTS


def asked(function: Function) -> dict[str, set[str]]:
    """For each argument of a function of which it asks attributes: their names."""
    found: dict[str, set[str]] = {}
    if not function.parameters:
        return found
    for name, attribute, sets in _attributes(function, function.parameters):
        if not sets:
            found.setdefault(name, set()).add(attribute)
    return found


def objects(function: Function, made: Sequence[Made], program: Program) -> dict[str, Value]:
    """The objects that a caller would pass to a function, by the names of its arguments.

    An argument is an object of the class in its annotation, or the only object that has its name,
    or the only one with all attributes that the function asks of it.

    Args:
        function: the function.
        made: the objects that its caller has.
        program: the script.
    """
    found: dict[str, Value] = {}
    if not made:
        return found
    spec = function.node.args
    annotated = {argument.arg: argument.annotation for argument in (*spec.args, *spec.kwonlyargs)}
    for name, attributes in asked(function).items():
        fits = [one for one in made if one.has(attributes)]
        if (annotation := annotated.get(name)) is not None:
            fits = [one for one in fits if one.is_a(_type_name(annotation))]
        elif len(named := [one for one in fits if name.lower() in one.names]) == 1:
            fits = named
        if len(fits) == 1:
            found[name] = fits[0].instance
    return found


def models(function: Function, result: Value, program: Program) -> Iterator[Made]:
    """The functional models that a function returned to its caller.

    Args:
        function: the function.
        result: what it returned.
        program: the script.
    """
    for option in options(result):
        for value in option.items if isinstance(option, Items) else (option,):
            if isinstance(value, Instance) and value.outputs is not None:
                names = {
                    node.id.lower()
                    for node in ast.walk(function.node)
                    if isinstance(node, ast.Name) and program.value(node) is value
                }
                yield Made(value, frozenset(names))


def _type_name(annotation: ast.expr) -> str:
    """The last part of the name in an annotation: `Model` of `keras.Model` or "keras.Model"."""
    name = annotation.value if isinstance(annotation, ast.Constant) else dotted(annotation)
    return str(name).rpartition(".")[2]
