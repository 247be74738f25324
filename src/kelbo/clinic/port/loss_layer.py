"""Recipe 2: a last layer computes the loss and reads tensors of the functional graph."""

import ast

from kelbo.clinic.doctor.program import Call, SymbolicRead
from kelbo.clinic.doctor.values import Class, Function, Instance, options
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.compiled_loss import CompiledLoss, compiled_loss, is_nothing
from kelbo.clinic.port.edits import Code, Unportable
from kelbo.clinic.port.lines import last_line, one_number, track
from kelbo.clinic.port.metrics import measure, metric_reads
from kelbo.clinic.port.model import Model, alone
from kelbo.clinic.port.passing import pass_on
from kelbo.clinic.port.script import Script, argument, model_of, same
from kelbo.clinic.port.slice import assigned, kept, local_names


def port_loss_layers(script: Script) -> None:
    """Turn every layer that adds a loss of tensors from outside into a model."""
    for written in script.program.classes:
        if not written.is_layer or written.is_model:
            continue
        adds = [call for call in script.calls_in(written.node) if call.method == "add_loss"]
        call = written.body.get("call")
        reads = [
            read
            for read in script.program.symbolic_reads
            if read.step.kind == "call"
            and isinstance(call, Function)
            and read.step.function.node is call.node
        ]
        if adds and reads:
            with script.attempt(written.node):
                _port_loss_layer(script, written, adds, reads)


def _port_loss_layer(
    script: Script, written: Class, adds: list[Call], reads: list[SymbolicRead]
) -> None:
    call_method = written.body.get("call")
    if not isinstance(call_method, Function) or not isinstance(call_method.node, ast.FunctionDef):
        raise Unportable(written.node, "the layer has no call.")
    start = written.body.get("__init__")
    made = start.node if isinstance(start, Function) else None
    idle = isinstance(made, ast.FunctionDef) and all(map(_starts_nothing, made.body))
    if "build" in written.body or start is not None and not idle:
        raise Unportable(
            written.node,
            "the layer that adds the loss has a build, or an __init__ that does more than Keras's.",
        )
    node = call_method.node
    uses = [
        call
        for call in script.program.calls
        if any(isinstance(o, Instance) and o.of is written for o in options(call.function))
    ]
    uses = list({call.node: call for call in uses}.values())
    if len(uses) != 1 or len(uses[0].node.args) != 1:
        raise Unportable(written.node, "the layer is used more than once, or not at all.")
    (use,) = uses
    given = use.node.args[0]
    if not isinstance(given, ast.List | ast.Tuple):
        raise Unportable(use.node, "the inputs of the layer cannot be told.")
    model = _model_behind(script, use, given)
    (entry, *others) = model.entries
    if others:
        raise Unportable(model.made, "it has more than one input.")
    parameter = call_method.parameters[1]
    handed = []
    for element in given.elts:
        value = script.program.value(element)
        if same(value, entry):
            handed.append("x")
        elif element is model.output:
            handed.append("")
        else:
            handed.append(model.hand_over(element, value))
    names, functions = pass_on(script, model, [*reads, *metric_reads(script, model)], node)
    first, *rest = node.body
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        first, *rest = rest
    prelude: list[Code] = []
    unpacked = isinstance(first, ast.Assign) and dotted(first.value) == parameter
    if unpacked and isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Tuple):
        targets = [dotted(target) for target in first.targets[0].elts]
        model.settle_name(targets[handed.index("")])
        pairs = [(t, h or model.name) for t, h in zip(targets, handed, strict=True)]
        prelude = [_constant(f"{t} = {h}") for t, h in pairs if t != h]
        body = rest
    else:
        prelude = [lambda: f"{parameter} = [{', '.join(h or model.name for h in handed)}]"]
        body = [first, *rest]
    compiled = _compiled(script, model, node)
    lines = [
        *measure(script, model, names, functions),
        *_loss_lines(script, model, body, adds, compiled),
    ]
    for other, value in written.body.items():
        if isinstance(value, Function) and value.node is not node:
            if isinstance(value.node, ast.FunctionDef) and other not in ("__init__", "get_config"):
                model.methods.append(script.edits.move(value.node))
    script.edits.remove(written.node)
    if compiled is None:
        model.compile_without_loss()
    local = local_names(script, written.node) - set(names) - {written.name}
    inner = {
        n.id
        for n in ast.walk(written.node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    } - _within(written.node)
    place = script.statement(model.made)
    losses = [add.arguments.get(0, "losses", "loss") for add in adds]
    losses += compiled.values if compiled is not None else ()
    target = compiled is not None or bool(model.measured)
    model.write([*prelude, *lines], place, bool(inner & local), target, losses)


def _starts_nothing(statement: ast.stmt) -> bool:
    """Whether a line of an __init__ is a docstring, Keras's own, or a flag of Keras 2.0."""
    if isinstance(statement, ast.Assign):
        return dotted(statement.targets[0]) == "self.is_placeholder"
    value = statement.value if isinstance(statement, ast.Expr) else None
    own = isinstance(value, ast.Call) and ast.unparse(value.func).startswith("super(")
    return isinstance(value, ast.Constant) or own


def _within(node: ast.AST) -> set[str]:
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    } | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def _constant(code: str) -> Code:
    return lambda: code


def _model_behind(script: Script, use: Call, given: ast.List | ast.Tuple) -> Model:
    """The model that ends in the layer, with the layer's input in place of its output."""
    parent = script.parents[use.node]
    for call in script.program.calls:
        made = model_of(call.result)
        if made is None or made.node is not call.node:
            continue
        output = argument(call.node, 1, "outputs")
        named = (
            isinstance(parent, ast.Assign)
            and isinstance(output, ast.Name)
            and output.id in assigned(parent)
            and same(script.program.value(output), script.program.value(use.node))
        )
        if output is use.node or named:
            if named and isinstance(parent, ast.Assign) and isinstance(output, ast.Name):
                end = parent.end_lineno or parent.lineno
                later = [m for m in script.mentions(output.id) if m.lineno > end]
                if later != [output]:
                    raise Unportable(use.node, f"{output.id} is used elsewhere.")
                script.edits.remove(parent)
            entry = alone(made.inputs)
            others = [e for e in given.elts if not same(script.program.value(e), entry)]
            if not others:
                raise Unportable(use.node, "the layer does not get the reconstruction.")
            return Model(script, made, others[0])
    raise Unportable(use.node, "no model ends in the layer that adds the loss.")


def _compiled(script: Script, model: Model, node: ast.FunctionDef) -> CompiledLoss | None:
    """The loss of compile, which Keras 2 took of what the layer returns; None for a loss of 0."""
    if is_nothing(script, model):
        return None
    returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
    values = [script.program.value(one) for one in returned if one is not None]
    if not model.compilations and not any(same(value, model.value) for value in values):
        # What the layer returns is no reconstruction, so that no loss of it makes sense.
        return None
    if not all(
        one is not None and same(script.program.value(one), model.value) for one in returned
    ):
        raise Unportable(
            model.compilations[0].node,
            "the loss of compile is taken of what the layer that adds the loss returns, which is "
            "not the reconstruction.",
        )
    return compiled_loss(script, model)


def _loss_lines(
    script: Script,
    model: Model,
    body: list[ast.stmt],
    adds: list[Call],
    compiled: CompiledLoss | None,
) -> list[Code]:
    """The lines of a layer's call as lines of compute_loss."""
    lines: list[Code] = []
    losses = []
    added = {script.statement(call.node): call for call in adds}
    metrics = {
        script.statement(call.node): call
        for statement in body
        for call in script.calls_in(statement)
        if call.method == "add_metric"
    }
    if not set(added) <= set(body) or not set(metrics) <= set(body):
        raise Unportable(adds[0].node, "add_loss does not stand directly in call.")
    comments = []
    for statement in body:
        if isinstance(statement, ast.Return):
            break
        if statement in added:
            expression = added[statement].node.args[0]
            losses.append(one_number(script, expression, kept(script, expression)))
            comments.append(script.edits.remove(statement))
        elif statement in metrics:
            lines.append(track(script, model, metrics[statement]))
        else:
            lines.append(script.edits.move(statement))
    more = model.added({call.node for call in adds})
    if compiled is not None:
        lines += compiled.lines
        losses.insert(0, _constant(compiled.name))
        more = "" if compiled.whole else more
    return [*lines, last_line(losses, comments, more)]
