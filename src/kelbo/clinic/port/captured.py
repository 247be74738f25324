"""What a nested function reads from the functions around it, once it is the call of a layer."""

import ast
from dataclasses import dataclass, field

from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Class, Function, Known, options
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script, function_of

# Attributes of a layer of Keras that a script may name a value of its own.
_TAKEN = frozenset(
    "built compute_dtype dtype input input_spec losses metrics name output path seed_generator "
    "supports_masking trainable variables weights".split()
)


@dataclass
class Captured:
    """What a layer gets as arguments, and whether it must stay in the function around it.

    Args:
        values: by the name of an argument, the code of its value where the layer is made.
        stays: whether it calls functions that only the function around it knows.
    """

    values: dict[str, str] = field(default_factory=dict)
    stays: bool = False


def captured(script: Script, node: ast.AST, call: Call) -> Captured:
    """Turn what a nested function reads from outside into attributes of the layer that it becomes.

    Args:
        script: the script.
        node: the function.
        call: the call that makes the layer.

    Raises:
        Unportable: it reads what no argument can hold, or what is bound too late.
    """
    found = Captured()
    own = _bound_in(node)
    around = [outer for outer in script.above(node) if isinstance(outer, ast.FunctionDef)]
    for read in ast.walk(node):
        if not isinstance(read, ast.Name) or not isinstance(read.ctx, ast.Load) or read.id in own:
            continue
        outer = next((one for one in around if read.id in _binds(script, one)), None)
        if outer is None:
            continue
        whole = _chain(script, read) if _is_object(script, outer, read.id) else read
        if whole is read and _is_called(script, read):
            found.stays = True
            continue
        _is_there(script, call, outer, read)
        code = script.code(whole)
        name = whole.attr if isinstance(whole, ast.Attribute) else read.id
        if name in _TAKEN or found.values.setdefault(name, code) != code:
            raise Unportable(call.node, f"the Lambda's function reads {code}; give it a name.")
        if code != f"self.{name}":
            script.edits.respell(whole, f"self.{name}")
    return found


def _chain(script: Script, read: ast.Name) -> ast.expr:
    """The attribute that is read from the object whose method is around it."""
    node: ast.expr = read
    while isinstance(outer := script.parents[node], ast.Attribute):
        if not isinstance(outer.ctx, ast.Load):
            raise Unportable(read, "the Lambda's function changes its object, or passes it on.")
        value = script.program.value(outer)
        if getattr(script.parents[outer], "func", None) is outer:
            if node is read or function_of(value) is not None:
                raise Unportable(read, f"the Lambda's function calls {script.code(outer)}.")
            return node  # a method of the value, such as self.sizes.index(2)
        node = outer
    if node is read:
        raise Unportable(read, "the Lambda's function changes its object, or passes it on.")
    return node


def _is_called(script: Script, read: ast.Name) -> bool:
    """Whether a name is a function, a class or a module, which no argument of a layer holds."""
    parent = script.parents[read]
    called = isinstance(parent, ast.Call) and parent.func is read
    kinds = options(script.program.value(read))
    return called or any(isinstance(kind, Function | Class | Known) for kind in kinds)


def _is_object(script: Script, outer: ast.FunctionDef, name: str) -> bool:
    """Whether a name is the first argument of a method."""
    first = outer.args.args[0].arg if outer.args.args else ""
    return isinstance(script.parents[outer], ast.ClassDef) and name == first


def _is_there(script: Script, call: Call, outer: ast.FunctionDef, read: ast.Name) -> None:
    """Make sure that a value is known, and final, where the layer is made."""
    if outer not in script.above(call.node):
        raise Unportable(
            call.node, f"{read.id}, which the Lambda's function reads, is not known here."
        )
    late = [
        node
        for node in ast.walk(outer)
        if isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and script.code(node) == script.code(_dotted(script, read))
        and node.lineno > call.node.lineno
        and script.function_around(node) is outer
    ]
    if late:
        raise Unportable(
            call.node,
            f"{script.code(late[0])}, which the Lambda's function reads, gets its value in line "
            f"{late[0].lineno}, after the layer is made.",
        )


def _dotted(script: Script, read: ast.Name) -> ast.expr:
    """The longest chain of attributes that begins with a name."""
    node: ast.expr = read
    while isinstance(outer := script.parents[node], ast.Attribute):
        node = outer
    return node


def _bound_in(node: ast.AST) -> set[str]:
    """The names that a function and those inside it bind."""
    names = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    names |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef) and n is not node}
    stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return names | {n.id for n in stored if isinstance(n.ctx, ast.Store)}


def _binds(script: Script, outer: ast.FunctionDef) -> set[str]:
    """The names that a function binds itself."""
    given = (*outer.args.posonlyargs, *outer.args.args, *outer.args.kwonlyargs)
    names = {n.arg for n in (*given, outer.args.vararg, outer.args.kwarg) if n is not None}
    for node in ast.walk(outer):
        if script.function_around(node) is outer:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).partition(".")[0])
    return names
