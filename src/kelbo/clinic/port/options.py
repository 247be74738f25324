"""Gives options and methods of layers and models the form that Keras 3 takes."""

import ast

import libcst as cst

from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Instance, is_model_name, is_symbolic, options
from kelbo.clinic.port.edits import code_of, renamed, without
from kelbo.clinic.port.keras_1 import respell_keras_1
from kelbo.clinic.port.names import place
from kelbo.clinic.port.script import Script, argument

_NAMES = {"keras.layers.LeakyReLU": {"alpha": "negative_slope"}}
_OF_MODELS = {"input": "inputs", "output": "outputs"}
_INTEGERS = {"numpy.prod", "numpy.product"}


def respell_options(script: Script) -> None:
    """Give the options of layers and models today's names and types."""
    for call in script.calls_in(script.source.tree):
        for name in call.names:
            if is_model_name(name) and not name.endswith("Sequential"):
                _rename(script, call, _OF_MODELS)
                if getattr(call.function, "spelled", name) != name:
                    script.edits.change(call.node, _without_lists_of_one)
            elif (layer := place(name)) in _NAMES:
                _rename(script, call, _NAMES[layer])
            else:
                with script.attempt(call.node):
                    respell_keras_1(script, call, name)
            if place(name) == "keras.layers.Dense":
                _count_units(script, call)
            if name.endswith(".Input") and argument(call.node, None, "tensor"):
                script.leave(call.node, "an Input of Keras 3 holds no numbers.")
        if call.method == "add_loss" and call.step is not None:
            script.edits.change(
                call.node, lambda node: without(cst.ensure_type(node, cst.Call), 1, "inputs")
            )
        if call.method == "numpy" and _is_of_a_model(script, call.node):
            script.edits.change(call.node, lambda node: _as_array(script, node))
        if call.method == "get_shape" and any(is_symbolic(owner) for owner in call.owners):
            script.edits.change(call.node, _as_shape)
        if call.method == "as_list" and _is_a_shape(script, call.node):
            script.edits.change(call.node, _as_list)


def _rename(script: Script, call: Call, names: dict[str, str]) -> None:
    if any(keyword.arg in names for keyword in call.node.keywords):
        script.edits.change(call.node, lambda node: renamed(cst.ensure_type(node, cst.Call), names))


def _count_units(script: Script, call: Call) -> None:
    """Make the units of a layer an int: Keras 3 takes no integer of NumPy."""
    units = argument(call.node, 0, "units", "output_dim")
    made = script.made(units)
    if units is not None and isinstance(made, ast.Call):
        if any(inner.node is made and inner.names & _INTEGERS for inner in script.calls_in(made)):
            script.edits.change(units, lambda node: cst.parse_expression(f"int({code_of(node)})"))


def _is_of_a_model(script: Script, node: ast.Call) -> bool:
    """Whether a method is called on what a model or a layer returned."""
    owner = script.made(node.func.value) if isinstance(node.func, ast.Attribute) else None
    return owner is not None and any(
        isinstance(option, Instance) and option.is_layer
        for call in script.calls_in(owner)
        if call.node is owner
        for option in options(call.function)
    )


def _as_array(script: Script, node: cst.BaseExpression) -> cst.BaseExpression:
    """`model(x).numpy()` on any backend."""
    function = cst.ensure_type(cst.ensure_type(node, cst.Call).func, cst.Attribute)
    return cst.parse_expression(f"{script.ops}.convert_to_numpy({code_of(function.value)})")


def _is_a_shape(script: Script, node: ast.Call) -> bool:
    """Whether a method is called on the shape of a symbolic tensor."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    shape = owner.func if isinstance(owner, ast.Call) else owner
    return (
        isinstance(shape, ast.Attribute)
        and shape.attr in ("shape", "get_shape")
        and is_symbolic(script.program.value(shape.value))
    )


def _as_shape(node: cst.BaseExpression) -> cst.BaseExpression:
    """`x.get_shape()` is `x.shape`."""
    function = cst.ensure_type(cst.ensure_type(node, cst.Call).func, cst.Attribute)
    return function.with_changes(attr=cst.Name("shape"))


def _as_list(node: cst.BaseExpression) -> cst.BaseExpression:
    """`x.shape.as_list()` is `list(x.shape)`."""
    function = cst.ensure_type(cst.ensure_type(node, cst.Call).func, cst.Attribute)
    return cst.parse_expression(f"list({code_of(function.value)})")


def _without_lists_of_one(node: cst.BaseExpression) -> cst.BaseExpression:
    """Take [x] and [y] out of their lists: Keras 3 would call that model with lists."""
    made = cst.ensure_type(node, cst.Call)
    return made.with_changes(
        args=[
            given.with_changes(value=given.value.elements[0].value)
            if isinstance(given.value, cst.List) and len(given.value.elements) == 1
            else given
            for given in made.args
        ]
    )
