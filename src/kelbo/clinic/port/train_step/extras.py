"""What a ported train_step needs elsewhere: in __init__, and where the model is fitted."""

import ast
from collections.abc import Sequence

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.values import Class
from kelbo.clinic.port.edits import Statement, Unportable, code_of, statements, without
from kelbo.clinic.port.sampling import draw_from_generator
from kelbo.clinic.port.script import Script, argument
from kelbo.clinic.port.train_step.own_call import OwnCall
from kelbo.clinic.port.train_step.parts import Layers
from kelbo.clinic.port.train_step.step import Step

_START = "def __init__(self, *args, **kwargs):\n    super().__init__(*args, **kwargs)\n"


def generator(script: Script, layers: Layers, lines: Sequence[ast.AST]) -> list[str]:
    """The line of __init__ for the noise that the model draws itself, if it does.

    Args:
        script: the script.
        layers: the model's layers.
        lines: the lines and the call in which it may be drawn.

    Raises:
        Unportable: it is drawn outside of the model's methods.
    """
    nodes = [*lines, *(f for line in lines for f in layers.reached(line))]
    seeds = []
    for node in dict.fromkeys(nodes):
        for call in script.calls_in(node):
            if not any(map(library.noise, call.names)):
                continue
            if not all(name.startswith(("keras.", "tensorflow.")) for name in call.names):
                line = call.node.lineno
                raise Unportable(
                    call.node, f"line {line} draws noise with NumPy, once for all steps."
                )
            if script.function_around(call.node) not in layers.methods.values():
                line = call.node.lineno
                raise Unportable(call.node, f"line {line} draws noise outside of the model.")
            seeds.append(draw_from_generator(script, call))
    return [f"self.seed_generator = keras.random.SeedGenerator({seeds[0]})"] if seeds else []


def add_to_init(script: Script, layers: Layers, lines: Sequence[str]) -> str:
    """Add lines to the end of __init__; returns an __init__ if the class has none."""
    if not lines:
        return ""
    start = layers.methods.get("__init__")
    if start is None:
        return _START + "".join(f"    {line}\n" for line in lines)

    def longer(statement: Statement) -> Statement:
        made = cst.ensure_type(statement, cst.FunctionDef)
        body = cst.ensure_type(made.body, cst.IndentedBlock)
        more = [line for code in lines for line in statements(code)]
        return made.with_changes(body=body.with_changes(body=[*body.body, *more]))

    script.edits.adapt(start, longer)
    return ""


def pack_labels(script: Script, written: Class, step: Step, own: OwnCall) -> None:
    """Give fit the labels as a part of x, for Keras hands y to the loss alone.

    Raises:
        Unportable: it is not known what fit is given.
    """
    if not own.labels:
        return
    found = [
        call
        for call in script.calls_in(script.source.tree)
        if call.method in ("evaluate", "fit")
        and any(getattr(owner, "of", None) is written for owner in call.owners)
    ]
    if not found:
        raise Unportable(
            step.method,
            "its layers are called with y, and the script does not say what fit is given; Keras "
            "calls a model with x alone: make the labels a part of x.",
        )
    for call in found:
        _pack(script, call.node)


def _pack(script: Script, call: ast.Call) -> None:
    inputs, labels = argument(call, 0, "x"), argument(call, 1, "y")
    validation = argument(call, None, "validation_data")
    pair = validation is None or (isinstance(validation, ast.Tuple) and len(validation.elts) == 2)
    weighed = argument(call, None, "sample_weight") is not None
    if inputs is None or labels is None or not pair or weighed or len(call.args) > 2:
        raise Unportable(
            call,
            f"line {call.lineno} does not give the model x and y as two arrays; its layers are "
            "called with both, so make the labels a part of x.",
        )

    def packed(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call)
        first = next(a for a in made.args if a.keyword is None or a.keyword.value == "x")
        second = [a for a in made.args if a is not first and (a.keyword is None)]
        second = second or [a for a in made.args if a.keyword and a.keyword.value == "y"]
        both = f"[{code_of(first.value)}, {code_of(second[0].value)}]"
        made = made.with_deep_changes(first, value=cst.parse_expression(both))
        for given in made.args:
            if given.keyword is not None and given.keyword.value == "validation_data":
                pair = cst.ensure_type(given.value, cst.Tuple)
                inside = ", ".join(code_of(element.value) for element in pair.elements)
                made = made.with_deep_changes(given, value=cst.parse_expression(f"([{inside}],)"))
        return without(made, 1, "y")

    script.edits.change(call, packed)
