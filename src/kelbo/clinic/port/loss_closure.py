"""Recipe 1: the loss function of compile closes over tensors of the functional graph."""

import ast
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import libcst as cst

from kelbo.clinic.doctor.program import Call, SymbolicRead
from kelbo.clinic.doctor.values import Instance, is_symbolic
from kelbo.clinic.doctor.words import dotted, in_words
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.metrics import measure, metric_reads
from kelbo.clinic.port.model import Model
from kelbo.clinic.port.passing import pass_on
from kelbo.clinic.port.script import Script, argument, function_of
from kelbo.clinic.port.slice import Slice


def port_closures(script: Script) -> None:
    """Port the models whose losses in compile read tensors from outside."""
    compilations = {
        read.step.node for read in script.program.symbolic_reads if read.step.kind == "loss"
    }
    handed = {
        call.node: call
        for call in script.program.calls
        if call.method == "compile"
        and (call.node in compilations or _is_made_of_tensors(script, call))
    }
    compiled = Counter(owner for call in handed.values() for owner in set(call.owners))
    for call in handed.values():
        with script.attempt(call.node):
            if any(compiled[owner] > 1 for owner in call.owners):
                raise Unportable(
                    call.node,
                    "the model is compiled more than once with a loss that reads tensors from "
                    "outside; compile it once.",
                )
            _port_closure(script, call)


def _is_made_of_tensors(script: Script, call: Call) -> bool:
    loss = argument(call.node, 1, "loss")
    return isinstance(loss, ast.Call) and any(
        is_symbolic(script.program.value(given)) for given in loss.args
    )


def _port_closure(script: Script, call: Call) -> None:
    instances = [m for m in call.owners if isinstance(m, Instance) and m.outputs is not None]
    loss = argument(call.node, 1, "loss")
    if len(instances) != 1 or loss is None:
        raise Unportable(call.node, "the model that is compiled is not known.")
    model = Model(script, instances[0])
    if isinstance(loss, ast.List) and len(loss.elts) == 1:
        script.edits.change(loss, _first)
        (loss,) = loss.elts
    function = function_of(script.program.value(loss))
    if function is None:
        raise Unportable(call.node, "the loss that compile is given is not a single function.")
    added = model.added()
    losses = [r for s, r in script.program.results if s.node is call.node and s.kind == "loss"]
    used = Slice(script, model, script.block(call.node))
    reads = [read for read in script.program.symbolic_reads if read.step.node is call.node]
    here = isinstance(loss, ast.Call) and any(
        is_symbolic(script.program.value(node)) for node in ast.walk(loss)
    )
    if here or used.computes(dotted(loss).partition(".")[0]):
        # A function made from the tensors is made anew, from this batch's values.
        used.need(loss)
        _reads_no_others(script, call, reads, {loss, *used.moved})
        code = used.code(loss)
        metrics = measure(script, model, *pass_on(script, model, metric_reads(script, model)))
        used.finish({call})
        model.compile_without_loss()
        lines = [lambda: f"return {script.ops}.mean({code()}(y, {model.name})){added}"]
        model.write(
            [*metrics, *used.lines, *lines],
            script.statement(model.made),
            used.only_here,
            True,
            losses,
            used.before,
        )
        return
    names, functions = pass_on(script, model, reads)
    metrics = measure(script, model, names, functions)
    model.rename()
    called = model.compile_with(function, loss, "vae_loss")
    given = "".join(f", {name}={name}" for name in names if function.node in functions)
    lines = [lambda: f"return {script.ops}.mean({called}(y, {model.name}{given})){added}"]
    model.write([*metrics, *lines], script.statement(model.made), False, True, losses)


def _reads_no_others(
    script: Script, call: Call, reads: Sequence[SymbolicRead], makers: AbstractSet[ast.AST]
) -> None:
    """Make sure that a function reads no tensors but those that it is made from."""
    given = {node for maker in makers for node in ast.walk(maker)}
    around = {None, *script.above(call.node)}
    names = {r.name for r in reads if r.node not in given and _scope(script, r.node) in around}
    if names:
        raise Unportable(
            call.node,
            f"the loss is made from tensors, and its function also reads {in_words(sorted(names))} "
            "from outside.",
        )


def _scope(script: Script, node: ast.expr) -> ast.AST | None:
    """The function that binds the first name in an expression; None for the module."""
    name = next(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    for outer in script.above(node):
        for inner in ast.walk(outer):
            bound = isinstance(inner, ast.arg) and inner.arg == name
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                bound = inner.id == name
            if bound and script.function_around(inner) is outer:
                return outer
    return None


def _first(node: cst.BaseExpression) -> cst.BaseExpression:
    """The first element of a list."""
    return cst.ensure_type(node, cst.List).elements[0].value
