"""Makes sure that what leaves a train_step runs on every backend: no name of TensorFlow is left."""

import ast
from collections.abc import Iterable, Sequence

from kelbo.clinic.doctor.values import known_names
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.step import Step, stored

_TYPES = frozenset("bfloat16 bool float16 float32 float64 int32 int64 uint8".split())


def respell_step(script: Script, nodes: Iterable[ast.AST]) -> None:
    """Give the names of TensorFlow in some lines and functions their names of today.

    Most have them already: `spelling` follows a training step.

    Raises:
        Unportable: one has none.
    """
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            _undecorate(script, node)
        whole = node.body if isinstance(node, ast.FunctionDef) else [node]
        for mention in (mention for part in whole for mention in _mentions(part)):
            _respell(script, mention)


def refuse_variables(
    script: Script, step: Step, nodes: Sequence[ast.AST], functions: Sequence[ast.AST]
) -> None:
    """Refuse numbers that TensorFlow holds, and numbers that one method leaves for another.

    Args:
        script: the script.
        step: the step.
        nodes: the lines and the functions that remain.
        functions: the functions among them.

    Raises:
        Unportable: there is such a number.
    """
    inside = {inner for node in nodes for inner in ast.walk(node)}
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                raise Unportable(
                    node, f"line {node.lineno} keeps a value of one batch in {script.code(node)}."
                )
    local = set().union(*map(stored, step.lines)) if step.lines else set()
    read = {n.attr for n in inside if isinstance(n, ast.Attribute)}
    read |= {n.id for n in inside if isinstance(n, ast.Name) and n.id not in local}
    for node in ast.walk(script.source.tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        names = known_names(script.program.value(node.value.func))
        held = any(n.startswith(("tensorflow.", "keras.backend.")) for n in names)
        for target in node.targets if held and node not in inside else ():
            name = getattr(target, "attr", getattr(target, "id", ""))
            if name in read and not script.edits.is_changed(node.value.func):
                raise Unportable(
                    node, f"line {node.lineno} makes {script.code(target)} a TensorFlow value."
                )


def _undecorate(script: Script, node: ast.FunctionDef) -> None:
    """Take @tf.function away; Keras compiles the step as a whole."""
    for decorator in node.decorator_list:
        made = decorator.func if isinstance(decorator, ast.Call) else decorator
        if "tensorflow.function" not in known_names(script.program.value(made)):
            line = decorator.lineno
            raise Unportable(decorator, f"line {line} decorates a function of the step.")
    if node.decorator_list:
        script.edits.adapt(node, lambda statement: statement.with_changes(decorators=[]))


def _mentions(node: ast.AST) -> list[ast.Name | ast.Attribute]:
    """The names and the dotted names in some syntax, each whole."""
    if isinstance(node, ast.Name):
        return [node]
    if isinstance(node, ast.Attribute) and _is_dotted(node):
        return [node]
    return [mention for child in ast.iter_child_nodes(node) for mention in _mentions(child)]


def _is_dotted(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Attribute) and _is_dotted(node.value)
    )


def _respell(script: Script, node: ast.Name | ast.Attribute) -> None:
    names = known_names(script.program.value(node))
    root = next(inner for inner in ast.walk(node) if isinstance(inner, ast.Name))
    code, reached = script.code(node), known_names(script.program.value(root))
    if not names and reached and any(one.startswith("tensorflow") for one in reached):
        names = {f"tensorflow.{code.partition('.')[2]}"}
    old = [one for one in names if one.startswith(("tensorflow.", "keras.backend."))]
    if not old or script.edits.is_changed(node):
        return
    last = old[0].rpartition(".")[2]
    if old == [f"tensorflow.{last}"] and last in _TYPES:
        script.edits.respell(node, f'"{last}"')
    elif old == ["tensorflow.newaxis"]:
        script.edits.respell(node, "None")
    else:
        raise Unportable(node, f"line {node.lineno} uses {code}, which Keras 3 does not have.")
