"""Imports and names: `tensorflow.keras` is `keras`, `K.square` and `tf.square` are `ops.square`."""

import ast
import itertools
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.rules.backend_functions import STILL_THERE
from kelbo.clinic.doctor.rules.keras_2_imports import RENAMED
from kelbo.clinic.doctor.rules.tensorflow_1_names import gone_from, lacking, written
from kelbo.clinic.doctor.values import Known, is_symbolic, known_names
from kelbo.clinic.doctor.words import in_words
from kelbo.clinic.port.edits import Lines, code_of, heading_of, merged
from kelbo.clinic.port.functions import (
    activation_of,
    adapt_arguments,
    add_up,
    batch_flatten,
    cross_entropy,
    flatten,
    image_ordering,
    unknown_arguments,
)
from kelbo.clinic.port.names import EAGER, SEEDS, place, today
from kelbo.clinic.port.script import Script, assigned_names, function_of, imported_names
from kelbo.clinic.port.train_step.step import TAPE

# Functions for which another name is not enough.
_CALLS = {
    "keras.backend.batch_flatten": batch_flatten,
    "keras.backend.flatten": flatten,
    "keras.backend.image_dim_ordering": image_ordering,
    "tensorflow.add_n": add_up,
    "tensorflow.math.add_n": add_up,
    "tensorflow.nn.sigmoid_cross_entropy_with_logits": cross_entropy,
}
# What to do by hand about functions of keras.backend, as KL annealing uses them.
_VARIABLE = "; a variable that changes during training must belong to the model: a keras.Variable"
_INSTEAD = {
    "get_value": _VARIABLE + ", read by keras.ops.convert_to_numpy",
    "in_test_phase": "; choose by the argument training of the layer's call",
    "in_train_phase": "; choose by the argument training of the layer's call",
    "learning_phase": "; choose by the argument training of the layer's call",
    "set_value": _VARIABLE + ", set by its assign",
    "variable": _VARIABLE,
}


def respell(script: Script) -> None:
    """Give today's names to keras.backend, and to the TensorFlow functions that tensors meet."""
    program = script.program
    calls: dict[ast.AST, list[Call]] = {}
    for call in program.calls:
        calls.setdefault(call.node.func, []).append(call)
    graph = {
        function.node
        for call in program.calls
        if is_symbolic(call.arguments.all) and (function := function_of(call.function)) is not None
    }
    rewritten = {
        script.function_around(node)
        for node, found in calls.items()
        if any(today(name, script.ops) for name in known_names(program.value(node)))
        and any(_meets_tensors(script, call, graph) for call in found)
    } - {None}
    seen: set[ast.AST] = set()
    for reading in program.readings:
        node, value = reading.node, reading.value
        if node in seen or reading.guarded or not isinstance(node, ast.Name | ast.Attribute):
            continue
        seen.add(node)
        if not isinstance(value, Known) or program.value(node) != value:
            continue
        if value.name == "keras" and (isinstance(node, ast.Attribute) or node.id == "tf_keras"):
            script.edits.respell(node, "keras")
            continue
        if (activation := activation_of(script, node, value.name)) is not None:
            script.edits.respell(node, f'"{activation}"')
            continue
        if value.name.startswith("keras.") and place(value.name) != value.name:
            _respell_place(script, node, value.name)
            continue
        of_backend = value.name.startswith("keras.backend.")
        inside = any(_meets_tensors(script, call, graph) for call in calls.get(node, ()))
        settled = value.name in SEEDS
        # A function has one style: what computes with numbers there follows what meets tensors.
        beside = script.function_around(node) in rewritten and not library.noise(value.name)
        renamed = of_backend or inside or settled or beside
        name = today(value.name, script.ops) if renamed else None
        others = [word for call in calls.get(node, ()) for word in unknown_arguments(call, name)]
        if others:
            script.leave(node, f"{name} takes no {in_words(others)}.")
        elif name is not None:
            script.edits.respell(node, name)
            for call in calls.get(node, ())[:1]:
                adapt_arguments(script, call, value.name, name)
        elif value.name in _CALLS and node in calls:
            with script.attempt(node):
                _CALLS[value.name](script, calls[node][0])
        elif of_backend and value.name.rpartition(".")[2] not in STILL_THERE:
            why = _INSTEAD.get(value.name.rpartition(".")[2], "")
            script.leave(node, f"Keras 3 has no {script.code(node)}{why}.")
        elif inside and value.name.startswith("tensorflow.") and value.name != TAPE:
            script.leave(node, f"{script.code(node)} is TensorFlow's alone.")
        elif isinstance(node, ast.Name) or node in lacking(program):
            _respell_version_1(script, node, value)
    for call in program.calls:
        if call.names & EAGER:
            with script.attempt(call.node):
                script.edits.remove(_whole(script, script.statement(call.node)))


def _respell_version_1(script: Script, node: ast.Name | ast.Attribute, value: Known) -> None:
    """Give a name of TensorFlow 1 its new name where that takes the same arguments."""
    one = gone_from(value, script.program)
    if one is None or value.name in EAGER:  # which are removed
        return
    spelled = written(node, one)
    if one.same and spelled == script.code(node):
        script.edits.respell(node, spelled.removesuffix(one.name) + str(one.instead))
    else:
        script.leave(node, f"TensorFlow 2 has no {script.code(node)}.")


def _whole(script: Script, statement: ast.stmt) -> ast.stmt:
    """A statement, or the condition around it that holds nothing else."""
    outer = script.parents[statement]
    alone = isinstance(outer, ast.If) and outer.body == [statement] and not outer.orelse
    return outer if isinstance(outer, ast.If) and alone else statement


def _respell_place(script: Script, node: ast.Name | ast.Attribute, name: str) -> None:
    """Take what Keras 3 has elsewhere from its new place; imports are handled apart."""
    there = place(name)
    if known_names(script.program.value(script.parents[node])):
        return  # a module, of which the script takes something
    if there is None:
        script.leave(node, f"Keras 3 has no {script.code(node)}.")
    elif isinstance(node, ast.Name):
        before, after = name.rpartition(".")[2], there.rpartition(".")[2]
        if node.id == before != after and after[0].isupper() and after not in script.assigned:
            script.edits.respell(node, after)
    elif there.rpartition(".")[0] == name.rpartition(".")[0]:
        script.edits.change(node, _with_attribute(there.rpartition(".")[2]))
    else:
        root = next(inner for inner in ast.walk(node) if isinstance(inner, ast.Name))
        reached = known_names(script.program.value(root)) == {"tensorflow"}
        stays = reached and there.startswith("tensorflow.")
        script.edits.respell(node, script.code(node) if stays else there)


def _with_attribute(name: str) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    return lambda node: cst.ensure_type(node, cst.Attribute).with_changes(attr=cst.Name(name))


def _meets_tensors(script: Script, call: Call, graph: AbstractSet[ast.AST]) -> bool:
    """Whether a function computes with what a model does: in a step, or with symbolic tensors.

    So does all that stands in a function which is given some, such as noise beside them.
    """
    if call.step is not None or script.function_around(call.node) in graph:
        return True
    return is_symbolic(call.arguments.all) or is_symbolic(call.result)


def port_imports(before: str, code: str) -> str:
    """Import from `keras` what came from TensorFlow's, and drop imports that nothing uses.

    Args:
        before: the script as it was.
        code: the script with its other lines ported.
    """
    tree = ast.parse(code)
    used = _loaded(tree)
    own = assigned_names(tree)
    imports = _Imports(
        used, _loaded(ast.parse(before)), {"ops"} & used - own - imported_names(tree)
    )
    module = cst.parse_module(code).visit(imports)
    wanted = []
    wanted += [f"import {m}" for m in ("keras", "tensorflow") if m in used - own - imports.bound]
    if imports.missing:
        wanted.append("from keras import ops")
    return module.visit(_Adding(wanted)).code


def _loaded(tree: ast.Module) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _moves(module: str) -> bool:
    return library.canonical(module).split(".")[0] in ("keras", "tensorflow")


_GONE = "_kelbo_import"  # keeps the place of an import that is gone


class _Imports(cst.CSTTransformer):
    """Rewrites imports; `bound` holds the names that they bind afterwards."""

    def __init__(self, used: set[str], before: set[str], missing: set[str]):
        super().__init__()
        self.used, self.before, self.missing = used, before, missing
        self.bound: set[str] = set()
        self.top: Sequence[cst.CSTNode] = ()

    def visit_Module(self, node: cst.Module) -> None:
        self.top = list(node.body)

    def _is_done(self, name: str) -> bool:
        """Whether nothing uses a name any longer that was used before."""
        return name in self.before and name not in self.used

    def _goes(self, name: str, place: str) -> bool:
        """Whether nothing uses a name any longer; what Keras 3 has and was never used stays."""
        return name not in self.used and (name in self.before or not place.startswith("keras"))

    def leave_SimpleStatementLine(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        if len(updated_node.body) != 1:
            return updated_node
        (small,) = updated_node.body
        kept: Sequence[cst.BaseSmallStatement] = []
        if _names_backend(small, self.used, self.before):
            pass
        elif isinstance(small, cst.Import):
            kept = self._import(small)
        elif isinstance(small, cst.ImportFrom):
            kept = self._import_from(small)
        else:
            return updated_node
        if not kept and any(original_node is line for line in self.top):
            return updated_node.with_changes(body=[cst.Expr(cst.Name(_GONE))])
        lines = [updated_node.with_changes(body=[one]) for one in kept]
        lines[1:] = [line.with_changes(leading_lines=[]) for line in lines[1:]]
        return cst.FlattenSentinel(lines) if len(lines) != 1 else lines[0]

    def _import(self, node: cst.Import) -> Sequence[cst.BaseSmallStatement]:
        kept = []
        for alias in node.names:
            module = code_of(alias.name)
            name = code_of(alias.asname.name) if alias.asname else module.partition(".")[0]
            if _moves(module):
                keras = library.canonical(module)
                if self._goes(name, keras if alias.asname else module) or (
                    keras != module and not alias.asname
                ):
                    continue
                alias = alias.with_changes(name=cst.parse_expression(keras))
                alias = alias.with_changes(asname=None) if keras == name else alias
            elif self._is_done(name):
                continue
            self.bound.add(name)
            kept.append(alias)
        return _with_names(node, kept)

    def _import_from(self, node: cst.ImportFrom) -> Sequence[cst.BaseSmallStatement]:
        module = code_of(node.module) if node.module is not None else ""
        if node.relative or not _moves(module):
            if isinstance(node.names, cst.ImportStar):
                return [node]
            others = [alias for alias in node.names if not self._is_done(_bound_by(alias))]
            self.bound |= {_bound_by(alias) for alias in others}
            return [_of_names(node, module, module, others)] if others else []
        keras = library.canonical(module)
        if isinstance(node.names, cst.ImportStar):
            return [_of_module(node, keras) if keras.startswith("keras") else node]
        found: dict[str, list[cst.ImportAlias]] = {}
        for alias in node.names:
            name = f"{keras}.{code_of(alias.name)}"
            name = library.canonical(name)
            there = place(name) if name.startswith("keras") else f"{module}.{code_of(alias.name)}"
            target, _, last = (there or name).rpartition(".")
            if alias.asname is None and _bound_by(alias) not in self.used and last in self.used:
                alias = alias.with_changes(name=cst.Name(last))  # it is respelled where it is used
            today = "" if there is None or there in RENAMED else there
            today = module if today.startswith("tensorflow") else today
            if not self._goes(_bound_by(alias), today):
                made = found.setdefault(target, [])
                if _bound_by(alias) not in map(_bound_by, made):
                    made.append(_of_name(alias, last))
        if "keras" in found and "ops" in self.missing:
            self.missing.discard("ops")
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            found["keras"][-1] = found["keras"][-1].with_changes(comma=comma)
            found["keras"].append(cst.ImportAlias(cst.Name("ops")))
        self.bound |= {_bound_by(alias) for aliases in found.values() for alias in aliases}
        return [
            _of_names(_of_module(node, target), module, target, aliases)
            if target
            # `from tensorflow import keras` is `import keras`.
            else cst.Import([*aliases[:-1], _last(aliases[-1])])
            for target, aliases in found.items()
        ]


def _names_backend(small: cst.BaseSmallStatement, used: set[str], before: set[str]) -> bool:
    """Whether a line says `K = keras.backend` and nothing uses K any longer."""
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return False
    name, value = code_of(small.targets[0].target), code_of(small.value)
    return value in ("keras.backend", "tf.keras.backend") and name in before - used


def _bound_by(alias: cst.ImportAlias) -> str:
    return code_of(alias.asname.name if alias.asname else alias.name)


def _of_name(alias: cst.ImportAlias, name: str) -> cst.ImportAlias:
    """`mse` is `mean_squared_error as mse`."""
    if code_of(alias.name) == name:
        return alias
    bound = alias.asname or cst.AsName(cst.Name(code_of(alias.name)))
    return alias.with_changes(name=cst.Name(name), asname=bound)


def _of_module(node: cst.ImportFrom, module: str) -> cst.ImportFrom:
    """An import of the same names from another module."""
    return node.with_changes(module=cst.parse_expression(module))


def _of_names(
    node: cst.ImportFrom, before: str, after: str, aliases: list[cst.ImportAlias]
) -> cst.ImportFrom:
    """An import of other names, whose lines stay aligned if the module's name changes."""
    if len(aliases) < len(node.names):  # type: ignore[arg-type]
        aliases = [*aliases[:-1], _last(aliases[-1])]
    places = [len(f"from {module} import (") for module in (before, after)]
    return node.with_changes(names=[_indented(alias, *places) for alias in aliases])


def _indented(alias: cst.ImportAlias, before: int, after: int) -> cst.ImportAlias:
    """An alias whose next line moves with the length of the import's first line."""
    gap = getattr(alias.comma, "whitespace_after", None)
    if not isinstance(gap, cst.ParenthesizedWhitespace) or len(gap.last_line.value) != before:
        return alias
    return alias.with_deep_changes(gap.last_line, value=" " * after)


def _last(alias: cst.ImportAlias) -> cst.ImportAlias:
    return alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)


def _with_names(node: cst.Import, aliases: list[cst.ImportAlias]) -> list[cst.Import]:
    """An import of other names; nothing if there are none."""
    if not aliases:
        return []
    if len(aliases) < len(node.names):
        aliases = [*aliases[:-1], _last(aliases[-1])]
    return [node.with_changes(names=aliases)]


class _Adding(cst.CSTTransformer):
    """Adds imports beside those of Keras, in place of one that is gone, or else on top."""

    def __init__(self, wanted: list[str]):
        super().__init__()
        self.wanted = wanted

    def leave_Module(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        keep = bool(self.wanted) and not any(map(_imports_keras, updated_node.body))
        body = _without_gone(updated_node.body, updated_node.header, keep)
        gone = [one for one in body if _is_gone(one)]
        for wanted in self.wanted:
            line = cst.ensure_type(cst.parse_statement(wanted), cst.SimpleStatementLine)
            whole = next((p for p, one in enumerate(body) if _says(one, "import keras")), None)
            first = next((p for p, one in enumerate(body) if _imports_keras(one)), None)
            if whole is not None:
                body.insert(whole + 1, line)
                continue
            if first is None and gone:
                place = body.index(gone[0])
                body[place] = line.with_changes(leading_lines=gone[0].leading_lines)
                continue
            head = list(itertools.takewhile(_comes_first, body))
            place = len(head) if first is None else first
            if place < len(body):
                line = line.with_changes(leading_lines=body[place].leading_lines)
                body[place] = body[place].with_changes(leading_lines=[])
            body.insert(place, line)
        return updated_node.with_changes(body=body)


def _without_gone(body: Sequence[Any], header: Lines, keep: bool) -> list[Any]:
    """Statements without the places of imports that are gone, but with their headings.

    Args:
        body: the statements of the module.
        header: the lines above the first.
        keep: whether to keep the first place.
    """
    found: list[Any] = []
    above: Lines = []
    start = header or [cst.EmptyLine()]
    for line in body:
        heading, own = heading_of(above)
        below = line.leading_lines
        lines = [*above, *below] if own and _continues(line) else merged(heading, below)
        if not found:
            lines = merged(start, lines)[len(start) :]
        above = []
        if _is_gone(line) and not keep:
            above = lines
            continue
        keep = keep and not _is_gone(line)
        found.append(line.with_changes(leading_lines=lines))
    return found


def _is_gone(line: cst.CSTNode) -> bool:
    return code_of(line).strip().endswith(_GONE)


def _continues(line: Any) -> bool:
    """Whether a line is an import that stands directly below what is above it."""
    return not line.leading_lines and (_imports(line) or _is_gone(line))


def _comes_first(line: cst.CSTNode) -> bool:
    """Whether nothing may stand above a line: a docstring, `from __future__ import ...`."""
    return code_of(line).strip().startswith(("from __future__", '"""', "'''"))


def _says(line: cst.CSTNode, code: str) -> bool:
    return _imports(line) and code_of(line).strip().splitlines()[-1] == code


def _imports(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and isinstance(
        line.body[0], cst.Import | cst.ImportFrom
    )


def _imports_keras(line: cst.CSTNode) -> bool:
    return _imports(line) and "keras" in code_of(line)
