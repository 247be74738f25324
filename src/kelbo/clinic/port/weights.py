"""Files of weights: Keras 3 writes only to *.weights.h5."""

import ast
from collections.abc import Iterator

import libcst as cst

from kelbo.clinic.doctor import library, strings
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Constant
from kelbo.clinic.port.edits import without
from kelbo.clinic.port.endings import ends_of, respell_end, text_of
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
    renamed: set[ast.expr] = set()
    for path in sorted(paths, key=lambda path: path.lineno):
        ends = list(ends_of(script, path))
        for end in ends:
            _rename(script, end, renamed)
        whole = strings.ending(script.program.value(path))
        if whole is not None and whole.endswith(_ENDING):
            continue
        known = [text_of(end) for end in ends] or ([] if whole is None else [whole])
        if any(not text.endswith((*_BEFORE, _ENDING)) for text in known):
            script.leave(path, f"Keras 3 saves weights only to a file named *{_ENDING}.")
    for string in _strings(script, names):
        _rename(script, string, renamed)
    for call in written:
        path = argument(call.node, 0, "filepath")
        if path is None or argument(call.node, None, "save_format") is None:
            continue
        whole = strings.ending(script.program.value(path))
        if whole is None and not any(ends_of(script, path)):
            script.leave(call.node, "Keras 3 takes no save_format; the name of the file decides.")
        else:
            script.edits.change(call.node, _without_format)


def _without_format(node: cst.BaseExpression) -> cst.BaseExpression:
    return without(cst.ensure_type(node, cst.Call), None, "save_format")


def _rename(script: Script, end: ast.expr, renamed: set[ast.expr]) -> None:
    """Give a string with which a path ends the ending of today."""
    text = text_of(end)
    before = next((one for one in _BEFORE if text.endswith(one)), "")
    if before and not text.endswith(_ENDING) and end not in renamed:
        renamed.add(end)
        respell_end(script, end, before, _ENDING)


def _strings(script: Script, names: set[str]) -> Iterator[ast.Constant]:
    """The strings at the end of paths with these names."""
    for node in ast.walk(script.source.tree) if names else ():
        if isinstance(node, ast.expr) and not isinstance(script.parents[node], ast.JoinedStr):
            end = _end(node)
            if end is not None and _name(script, node) in names:
                yield end


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
