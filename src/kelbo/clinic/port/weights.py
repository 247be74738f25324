"""Files of weights: Keras 3 writes only to *.weights.h5."""

import ast
from collections.abc import Iterator

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Constant
from kelbo.clinic.port.edits import without
from kelbo.clinic.port.script import Script, argument

_ENDING = ".weights.h5"
_BEFORE = (".h5", ".hdf5")
_CHECKPOINT = "keras.callbacks.ModelCheckpoint"


def rename_weights(script: Script) -> None:
    """Give the weight files that the script writes today's ending, wherever it names them."""
    written = [call for call in script.calls_in(script.source.tree) if _writes(call)]
    read = list(script.program.method_calls("load_weights"))
    paths = {path for call in written if (path := argument(call.node, 0, "filepath")) is not None}
    names = {_name(script, path) for path in paths}
    # A file that the script does not write is of Keras 2, and Keras 3 still loads it.
    paths |= {
        path
        for call in read
        if (path := argument(call.node, 0, "filepath")) is not None and _name(script, path) in names
    }
    renamed = set()
    for string, ending, name in _strings(script, names):
        renamed.add(name)
        head, _, quote = script.code(string).rpartition(ending)
        script.edits.respell(string, f"{head}{_ENDING}{quote}")
    for path in sorted(paths, key=lambda path: path.lineno):
        end = _end(path)
        text = library.text(script.program.value(path if end is None else end))
        if text is None or text.endswith(_ENDING) or _name(script, path) in renamed:
            continue
        script.leave(path, f"Keras 3 saves weights only to a file named *{_ENDING}.")
    for call in written:
        path = argument(call.node, 0, "filepath")
        if path is None or argument(call.node, None, "save_format") is None:
            continue
        if _end(path) is None and library.text(script.program.value(path)) is None:
            script.leave(call.node, "Keras 3 takes no save_format; the name of the file decides.")
        else:
            script.edits.change(call.node, _without_format)


def _without_format(node: cst.BaseExpression) -> cst.BaseExpression:
    return without(cst.ensure_type(node, cst.Call), None, "save_format")


def _strings(script: Script, names: set[str]) -> Iterator[tuple[ast.Constant, str, str]]:
    """The strings at the end of paths with these names, with their old ending and the name."""
    for node in ast.walk(script.source.tree) if names else ():
        if isinstance(node, ast.expr) and not isinstance(script.parents[node], ast.JoinedStr):
            end = _end(node)
            text = str(end.value) if end is not None else ""
            ending = next((one for one in _BEFORE if text.endswith(one)), "")
            if end is None or not ending or text.endswith(_ENDING):
                continue
            if (name := _name(script, node)) in names:
                yield end, ending, name


def _writes(call: Call) -> bool:
    """Whether a call writes weights to a file, now or in every epoch."""
    only = call.arguments.get(None, "save_weights_only") == Constant(True)
    return call.method == "save_weights" or (_CHECKPOINT in call.names and only)


def _name(script: Script, path: ast.expr) -> str:
    """A name that two paths of one file share."""
    if isinstance(path, ast.Constant):
        return str(path.value)  # also where the doctor did not follow the script
    return library.text(script.program.value(path)) or ast.unparse(path)


def _end(path: ast.expr) -> ast.Constant | None:
    """The string that a path ends with: a literal, or the last part of a sum or of a join."""
    if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Add):
        return _end(path.right)
    if isinstance(path, ast.Call) and path.args and ast.unparse(path.func).endswith("join"):
        return _end(path.args[-1])
    return path if isinstance(path, ast.Constant) and isinstance(path.value, str) else None
