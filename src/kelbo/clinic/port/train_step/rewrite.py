"""Ports a train_step with a tape: `call` calls the layers, and compute_loss computes the loss."""

import ast

from kelbo.clinic.doctor.values import Class, Known, Tensor, is_model_name, known_names, options
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Code, Unportable, indented
from kelbo.clinic.port.layer_losses import are_numbers
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.slice import kept
from kelbo.clinic.port.train_step.extras import add_to_init, generator, pack_labels
from kelbo.clinic.port.train_step.helpers import join_helpers
from kelbo.clinic.port.train_step.loss import (
    formula_of_step,
    is_sum_of_losses,
    mentions_losses,
)
from kelbo.clinic.port.train_step.metrics import Metrics, plan_metrics
from kelbo.clinic.port.train_step.names import refuse_variables, respell_step
from kelbo.clinic.port.train_step.own_call import PREDICT, OwnCall, plan_call
from kelbo.clinic.port.train_step.parts import Layers, Parts, parts_of
from kelbo.clinic.port.train_step.step import TAPE, Step, loaded, methods, read_step, stored

_HEAD = "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):\n"
# What Keras calls in its own train_step, and functions that call it.
_TAKEN = ("compute_metrics", "make_train_function", "make_test_function")


def port_train_steps(script: Script) -> tuple[set[ast.AST], dict[ast.AST, str]]:
    """Port the train_steps that have a tape.

    Args:
        script: the script.

    Returns:
        The methods of the classes that were ported, and why each other train_step was not.
    """
    ported: set[ast.AST] = set()
    reasons: dict[ast.AST, str] = {}
    for written in script.program.classes:
        found = {method.name: method for method in methods(written)}
        train = found.get("train_step")
        if train is None or not written.is_layer or not _has_tape(script, train):
            continue
        before = script.edits.saved()
        try:
            _port(script, written, found)
        except Unportable as problem:
            script.edits.restore(before)
            reasons[train] = problem.reason
        else:
            ported |= {train, *found.values()}
    return ported, reasons


def _has_tape(script: Script, node: ast.AST) -> bool:
    return any(TAPE in call.names and not call.guarded for call in script.calls_in(node))


def _port(script: Script, written: Class, found: dict[str, ast.FunctionDef]) -> None:
    """Plan the changes to one class."""
    train = found["train_step"]
    _refuse_kin(script, written, train)
    for name in _TAKEN:
        if name in found:
            raise Unportable(found[name], f"the class has a {name} of its own.")
    layers = Layers(script, written)
    step = read_step(script, train)
    helpers = join_helpers(script, step, layers)
    if found.get("compute_loss") not in [None, *helpers]:
        raise Unportable(found["compute_loss"], "the class has a compute_loss of its own.")
    _refuse_another_optimizer(layers)
    parts = parts_of(script, step, layers)
    _refuse_partial_training(step, parts, layers)
    test = read_step(script, found["test_step"]) if "test_step" in found else None
    if test is not None:
        join_helpers(script, test, layers)
        if parts_of(script, test, layers).training:
            raise Unportable(test.method, "test_step calls its layers with training=True.")
    metrics = plan_metrics(script, written, step, test, layers)
    own = plan_call(script, written, step, parts, layers)
    pack_labels(script, written, step, own)
    calls = [own.kept] if own.kept is not None else []
    noise = generator(script, layers, [*parts.forward, *calls])
    others = [f for line in [*step.lines, *calls] for f in layers.reached(line)]
    target = [step.target] if step.target is not None else []
    whole = [*step.lines, *target, *metrics.values, *others, *calls]
    respell_step(script, whole)
    refuse_variables(script, step, whole, [*others, *calls])
    trackers = [f'self.{t}_tracker = keras.metrics.Mean(name="{t}")' for t in metrics.trackers]
    start = add_to_init(script, layers, [*trackers, *noise])
    script.formulas.append(formula_of_step(script, written, step, own))
    _write(script, step, parts, own, metrics, start)
    script.adds_losses_itself |= mentions_losses([*step.lines, *target])
    gone = [*helpers, *([test.method] if test is not None else [])]
    for method in gone:
        script.edits.remove(method)
    above = written.node.body[: written.node.body.index(train)]
    if all(node in gone for node in above):
        # The first in the class: no empty line above it.
        script.edits.adapt(train, lambda statement: statement.with_changes(leading_lines=[]))


def _refuse_kin(script: Script, written: Class, train: ast.FunctionDef) -> None:
    """Refuse a class whose training is spread over several classes of the script."""
    if not all(isinstance(base, Known) and is_model_name(base.name) for base in written.bases):
        raise Unportable(train, "its class is derived from another one than keras.Model.")
    for node in ast.walk(script.source.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("train_step", "test_step"):
            raise Unportable(node, f"line {node.lineno} uses {script.code(node)} itself.")
    for other in script.program.classes:
        if any(written in options(base) for base in other.bases):
            raise Unportable(train, f"{other.name} is derived from its class.")


def _refuse_partial_training(step: Step, parts: Parts, layers: Layers) -> None:
    """Refuse a step that trains only some of the models that it calls."""
    called = {dotted(call.func) for line in parts.forward for call in layers.calls(line)}
    if step.weights != {"self"} and called != step.weights:
        trained = " and ".join(sorted(step.weights))
        raise Unportable(step.method, f"it trains {trained} alone, and fit trains all weights.")


def _refuse_another_optimizer(layers: Layers) -> None:
    """Refuse a compile that keeps the optimizer from Keras's own."""
    compiling = layers.methods.get("compile")
    if compiling is None:
        return
    handed = [
        call
        for call in ast.walk(compiling)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "compile"
        and {"optimizer", "kwargs", "args"} & loaded(call)
    ]
    if "optimizer" in layers.made or not handed:
        line = compiling.lineno
        raise Unportable(compiling, f"line {line} has a compile that sets the optimizer itself.")


def _write(
    script: Script, step: Step, parts: Parts, own: OwnCall, metrics: Metrics, start: str
) -> None:
    """Plan the methods that replace the train_step."""
    target = step.target or ast.Constant(None)
    moved = {line: _moved(script, line) for line in step.lines}
    if parts.training and parts.whole is None:
        _hand_training_on(script, parts)
    loss = kept(script, target)
    names = _unpacked(step, parts, metrics, own)
    scalar = _is_scalar(script, step, target)

    def call() -> str:
        return own.code([moved[line]() for line in parts.forward])

    def replaced(_: str) -> str:
        lines = [*names, f"{own.target} = y_pred"]
        lines += [moved[line]() for line in parts.loss]
        lines += [line() for line in metrics.lines]
        if scalar:
            lines.append(f"return {loss()}")
        else:
            lines += ["# A tape follows the gradient of the sum."]
            lines += [f"return {script.ops}.sum({loss()})"]
        written = [start, call() if own.argument and own.replaced is None else ""]
        written += [_HEAD + indented("\n".join(lines) + "\n"), metrics.method]
        written += [PREDICT if own.replaced is not None and len(parts.outputs) > 1 else ""]
        return "\n".join(part for part in written if part)

    script.edits.replace(step.method, replaced)
    if own.replaced is not None:
        script.edits.insert(own.replaced, call)
        script.edits.remove(own.replaced)


def _moved(script: Script, line: ast.stmt) -> Code:
    """The code of a line, taken away from where it is; of a new line, its code."""
    if line in script.parents:
        return script.edits.move(line)
    made = line if isinstance(line, ast.Assign) else ast.Assign([], ast.Constant(None))
    targets, value = _plain(made.targets[0]), kept(script, made.value)
    return lambda: f"{targets} = {value()}"


def _hand_training_on(script: Script, parts: Parts) -> None:
    """`training=True` becomes the argument that Keras gives to call."""
    for line in parts.forward:
        for call in ast.walk(line):
            for word in call.keywords if isinstance(call, ast.Call) else ():
                if word.arg == "training":
                    script.edits.respell(word.value, "training")


def _unpacked(step: Step, parts: Parts, metrics: Metrics, own: OwnCall) -> list[str]:
    """The lines of compute_loss that give the data their names."""
    nodes: list[ast.AST] = [*parts.loss, *metrics.values]
    nodes += [step.target] if step.target is not None else []
    read = set().union(*map(loaded, nodes))
    read -= set(parts.outputs)
    found = [(t, part) for t, part in step.data.parts if read & stored(t)]
    if own.labels:
        inputs = [t for t, part in step.data.parts if part in ("x", "y")]
        return [f"{', '.join(map(ast.unparse, inputs))} = x"] if found else []
    pairs = [(_plain(target), part) for target, part in found if _plain(target) != part]
    if {name for name, _ in pairs} & {part for _, part in found}:
        names, parts_of_data = zip(*pairs, strict=True)
        return [f"{', '.join(names)} = {', '.join(parts_of_data)}"]
    return [f"{name} = {part}" for name, part in pairs]


def _plain(target: ast.expr) -> str:
    code = ast.unparse(target)
    return code.removeprefix("(").removesuffix(")") if isinstance(target, ast.Tuple) else code


def _is_scalar(script: Script, step: Step, node: ast.expr) -> bool:
    """Whether an expression is certain to be one number for the batch."""
    value = script.program.value(node)
    if isinstance(value, Tensor) and value.shape == ():
        return True
    if isinstance(node, ast.Constant | ast.Attribute):
        return True  # a weight
    if isinstance(node, ast.Name):
        lines = step.assigned(node.id)
        given = {name for target, _ in step.data.parts for name in stored(target)}
        return node.id not in given and all(
            isinstance(line, ast.Assign | ast.AugAssign | ast.AnnAssign)
            and isinstance(getattr(line, "target", line), ast.Assign | ast.Name)
            and not (isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Tuple))
            and line.value is not None
            and _is_scalar(script, step, line.value)
            for line in lines
        )
    if isinstance(node, ast.BinOp):
        return _is_scalar(script, step, node.left) and _is_scalar(script, step, node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_scalar(script, step, node.operand)
    if not isinstance(node, ast.Call):
        return False
    names = {name.rpartition(".")[2] for name in known_names(script.program.value(node.func))}
    whole = names & {"reduce_mean", "reduce_sum", "mean", "sum"} and len(node.args) == 1
    if is_sum_of_losses(script, node):
        return are_numbers(script)
    return bool((whole and not node.keywords) or names == {"add_n"} or dotted(node.func) == "sum")
