"""The `call` of a model with a ported train_step, which returns what the loss needs."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import libcst as cst

from kelbo.clinic.doctor.values import Class, Instance, known_names, options
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Statement, Unportable, indented
from kelbo.clinic.port.meaning import meanings, meant, same_meaning
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.parts import Layers, Parts
from kelbo.clinic.port.train_step.step import Step, loaded, stored

# Layers that compute something else in training.
_IN_TRAINING = ("Dropout", "Normalization", "Noise", "Random", "applications", "load_model")

PREDICT = """\
def predict(self, *args, **kwargs):
    # The reconstruction alone, as before.
    return super().predict(*args, **kwargs)[0]
"""


@dataclass
class OwnCall:
    """What becomes of `call`.

    Args:
        target: the names that compute_loss gives to what call returns; empty for none.
        argument: the name of the data in the call that the port writes; empty if it writes none.
        unpacked: the names of the parts of the data in it, if there are several.
        replaced: the call of the class, if the port writes another one.
        kept: the call of the class, if it stays.
        labels: whether y is needed, so that fit must be given it as a part of x.
        training: whether the layers are called with training=True.
    """

    target: str = ""
    argument: str = ""
    unpacked: str = ""
    replaced: ast.FunctionDef | None = None
    kept: ast.FunctionDef | None = None
    labels: bool = False
    training: bool = False

    def code(self, lines: Sequence[str]) -> str:
        """The call that the port writes.

        Args:
            lines: the lines that call layers.
        """
        training = ", training=None" if self.training else ""
        first = [f"{self.unpacked} = {self.argument}"] if self.unpacked else []
        body = "\n".join([*first, *lines, f"return {self.target}"])
        return f"def call(self, {self.argument}{training}):\n" + indented(f"{body}\n")


def plan_call(script: Script, written: Class, step: Step, parts: Parts, layers: Layers) -> OwnCall:
    """Plan the call.

    Raises:
        Unportable: the class has a call that means something else, or it cannot be told.
    """
    own = layers.methods.get("call")
    made = OwnCall(kept=own, training=parts.training)
    reads = set().union(*map(loaded, parts.forward))
    made.labels = any(reads & stored(target) for target, part in step.data.parts if part == "y")
    if any(reads & stored(target) for target, part in step.data.parts if part[0] == "s"):
        raise Unportable(step.method, "its layers are called with the weights of the data.")
    if parts.whole is not None:
        _refuse_other_inputs(script, step, made, parts.whole)
        _fit_training(script, written, own, parts)
        line = parts.forward[0]
        made.target = script.code(line.targets[0]) if isinstance(line, ast.Assign) else ""
        return made
    if own is None:
        if "__init__" not in layers.methods or _is_functional(script, written):
            raise Unportable(step.method, "the class is functional, but the model is not called.")
        _write(step, parts, made)
        return made
    if own.args.vararg or own.args.kwonlyargs or made.labels:
        raise Unportable(own, f"line {own.lineno} has a call that is given other inputs.")
    returned = _returned(own)
    given = meanings([(ast.Name(own.args.args[1].arg, ast.Store()), "x")], own.body[:-1])
    here = meanings(step.data.parts, parts.forward)
    elements = returned.elts if isinstance(returned, ast.Tuple) else [returned]
    known = [_name_of(meant(element, given), here, parts) for element in elements]
    if {*parts.outputs} <= {*known}:
        _fit_training(script, written, own, parts)
        made.target = ", ".join(name or "_" for name in known)
        return made
    if known != parts.outputs[:1]:
        raise Unportable(
            own, f"line {own.lineno} has a call that returns something else than the step computes."
        )
    _refuse_uses(script, written)
    made.kept, made.replaced = None, own
    _write(step, parts, made)
    return made


def _returned(own: ast.FunctionDef) -> ast.expr:
    """What a call returns, if it is a plain computation."""
    *lines, last = own.body
    plain = all(isinstance(line, ast.Assign | ast.AnnAssign | ast.Expr) for line in lines)
    if not plain or not isinstance(last, ast.Return) or last.value is None:
        raise Unportable(own, f"line {own.lineno} has a call that is more than a computation.")
    return last.value


def _name_of(meaning: ast.expr, here: Mapping[str, ast.expr], parts: Parts) -> str:
    """The name in the step of what a call returns; empty if the step has none for it."""
    names = [*parts.outputs, *here]
    return next((n for n in names if n in here and same_meaning(here[n], meaning)), "")


def _write(step: Step, parts: Parts, made: OwnCall) -> None:
    """Plan a call with the step's lines."""
    reads = set().union(*map(loaded, parts.forward))
    inputs = [t for t, part in step.data.parts if part == "x" and reads & stored(t)]
    labels = [t for t, part in step.data.parts if part == "y"]
    if len(inputs) != 1:
        raise Unportable(step.method, "its data cannot be told.")
    names = [*inputs, *labels] if made.labels else inputs
    made.argument = inputs[0].id if isinstance(inputs[0], ast.Name) else "inputs"
    if len(names) > 1 or not isinstance(inputs[0], ast.Name):
        made.argument = "inputs"
        made.unpacked = ", ".join(ast.unparse(name).strip("()") for name in names)
        if not all(isinstance(name, ast.Name) for name in names) and len(names) > 1:
            raise Unportable(step.method, "its data have several parts beside the labels.")
    made.target = ", ".join(parts.outputs)
    if parts.training:
        made.training = True


def _refuse_other_inputs(script: Script, step: Step, made: OwnCall, call: ast.Call) -> None:
    """Refuse `self(...)` of anything but the data."""
    given = call.args[0] if len(call.args) == 1 else None
    names = given.elts if isinstance(given, ast.List | ast.Tuple) else [given]
    reads = {dotted(name) for name in names if name is not None}
    expected: list[ast.expr] = []
    for target, part in step.data.parts:
        if part == ("y" if made.labels and expected else "x") and reads & stored(target):
            expected += target.elts if isinstance(target, ast.Tuple) else [target]
    words = {word.arg for word in call.keywords} - {"training"}
    if words or [dotted(n) for n in names if n] != [dotted(n) for n in expected]:
        raise Unportable(call, f"line {call.lineno} calls the model with {script.code(call)}.")


def _fit_training(
    script: Script, written: Class, own: ast.FunctionDef | None, parts: Parts
) -> None:
    """Make sure that Keras's training step calls the layers as the script's own did.

    Keras passes training=True to a call that takes it, and the script may not have done so.
    """
    takes = own is None or any(a.arg == "training" for a in (*own.args.args, *own.args.kwonlyargs))
    if own is not None and parts.training and not takes:
        script.edits.adapt(own, _with_training)
    elif takes and not parts.training and _may_depend_on_training(script, written):
        line = parts.forward[0].lineno
        raise Unportable(
            parts.forward[0],
            f"line {line} calls the model without training=True, and Keras would pass it.",
        )


def _with_training(statement: Statement) -> Statement:
    """A method with an argument more."""
    made = cst.ensure_type(statement, cst.FunctionDef)
    example = cst.ensure_type(cst.parse_statement("def f(a, training=None): ..."), cst.FunctionDef)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    *others, last = made.params.params
    params = [*others, last.with_changes(comma=comma), example.params.params[1]]
    return made.with_changes(params=made.params.with_changes(params=params))


def _may_depend_on_training(script: Script, written: Class) -> bool:
    """Whether a layer of the model may compute something else in training."""
    mentioned = {n for reading in script.program.readings for n in known_names(reading.value)}
    alone = any(word in name for name in mentioned for word in _IN_TRAINING)
    return alone or not instances(script, written)


def instances(script: Script, written: Class) -> list[Instance]:
    """The models of a class that the script makes."""
    found = [
        option
        for call in script.program.calls
        if written in options(call.function)
        for option in options(call.result)
    ]
    return [one for one in found if isinstance(one, Instance)]


def _is_functional(script: Script, written: Class) -> bool:
    return any(one.outputs is not None for one in instances(script, written))


def _refuse_uses(script: Script, written: Class) -> None:
    """Refuse a model that the script calls: it would return more than the reconstruction."""
    for call in script.program.calls:
        for option in options(call.function):
            if isinstance(option, Instance) and option.of is written:
                line = call.node.lineno
                raise Unportable(
                    call.node,
                    f"line {line} uses {script.code(call.node)}, which would hold mu and "
                    "log_var, too.",
                )
