"""Imports and names: `tensorflow.keras` is `keras`, `K.square` and `tf.square` are `ops.square`."""

import ast
import itertools
from collections.abc import Callable

import libcst as cst

from kelbo.doctor import library
from kelbo.doctor.program import Call
from kelbo.doctor.rules.backend_functions import STILL_THERE
from kelbo.doctor.values import Known, is_model_name, is_symbolic
from kelbo.port.edits import code_of, keyword, with_argument, with_arguments, without
from kelbo.port.names import EAGER, SHORT, today
from kelbo.port.script import Script, argument, assigned_names, imported_names

_WITHOUT_SHORT = ("keras.losses", "keras.metrics")


def respell(script: Script) -> None:
    """Give names of keras.backend, and those of TensorFlow's that tensors meet, today's names."""
    program = script.program
    calls: dict[ast.AST, list[Call]] = {}
    for call in program.calls:
        calls.setdefault(call.node.func, []).append(call)
    seen: set[ast.AST] = set()
    for reading in program.readings:
        node, value = reading.node, reading.value
        if node in seen or reading.guarded or not isinstance(node, ast.Name | ast.Attribute):
            continue
        seen.add(node)
        if not isinstance(value, Known) or program.value(node) != value:
            continue
        if value.name == "keras" and isinstance(node, ast.Attribute):
            script.edits.respell(node, "keras")
            continue
        module, _, last = value.name.rpartition(".")
        if module in _WITHOUT_SHORT and last in SHORT and isinstance(node, ast.Attribute):
            script.edits.change(node, _with_attribute(SHORT[last]))
            continue
        of_backend = value.name.startswith("keras.backend.")
        inside = any(_meets_tensors(script, call) for call in calls.get(node, ()))
        settled = value.name == "tensorflow.random.set_seed"
        name = today(value.name, script.ops) if of_backend or inside or settled else None
        if name is not None:
            script.edits.respell(node, name)
            for call in calls.get(node, ())[:1]:
                _adapt_arguments(script, call, value.name, name)
        elif value.name == "keras.backend.flatten" and node in calls:
            _flatten(script, calls[node][0])
        elif value.name == "tensorflow.nn.sigmoid_cross_entropy_with_logits" and node in calls:
            _cross_entropy(script, calls[node][0])
        elif of_backend and value.name.rpartition(".")[2] not in STILL_THERE:
            script.leave(node, f"Keras 3 has no {script.code(node)}.")
        elif inside and value.name.startswith("tensorflow."):
            script.leave(node, f"{script.code(node)} is TensorFlow's alone.")
    for call in program.calls:
        if call.names & EAGER:
            with script.attempt(call.node):
                script.edits.remove(script.statement(call.node))
    _respell_options(script)
    _rename_weights(script)


def _with_attribute(name: str) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    return lambda node: cst.ensure_type(node, cst.Attribute).with_changes(attr=cst.Name(name))


def _meets_tensors(script: Script, call: Call) -> bool:
    """Whether a function computes with what a model does: in a step, or with symbolic tensors."""
    return call.step is not None or is_symbolic(call.arguments.all) or is_symbolic(call.result)


def _adapt_arguments(script: Script, call: Call, before: str, name: str) -> None:
    """Make what a function is given fit its name of today."""
    last = name.rpartition(".")[2]
    if before == "keras.backend.int_shape":
        script.edits.change(
            call.node,
            lambda node: cst.Attribute(
                cst.ensure_type(node, cst.Call).args[0].value, cst.Name("shape")
            ),
        )
        return

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call)
        arguments = [_renamed(a, last) for a in made.args]
        return with_arguments(made, arguments) if arguments else made

    script.edits.change(call.node, change)


_RENAMED = {
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
    "std": "stddev",
    "input_tensor": "x",
}


def _renamed(argument: cst.Arg, function: str) -> cst.Arg:
    if argument.keyword is not None and argument.keyword.value in _RENAMED:
        argument = argument.with_changes(keyword=cst.Name(_RENAMED[argument.keyword.value]))
    is_axis = argument.keyword is None or argument.keyword.value == "axis"
    if is_axis and isinstance(argument.value, cst.List) and function in ("mean", "sum", "max"):
        # A list of axes is not taken by every backend.
        code = code_of(cst.Tuple(argument.value.elements))
        argument = argument.with_changes(value=cst.parse_expression(code))
    return argument


def _flatten(script: Script, call: Call) -> None:
    script.edits.respell(call.node.func, f"{script.ops}.reshape")
    script.edits.change(
        call.node, lambda node: with_argument(cst.ensure_type(node, cst.Call), "(-1,)")
    )


def _cross_entropy(script: Script, call: Call) -> None:
    """TensorFlow's cross-entropy with logits is one of Keras's options."""
    script.edits.respell(call.node.func, f"{script.ops}.binary_crossentropy")

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call)
        names = {"labels": "target", "logits": "output"}
        arguments = [
            a.with_changes(keyword=cst.Name(names[a.keyword.value]))
            if a.keyword is not None and a.keyword.value in names
            else a
            for a in without(made, None, "name").args
        ]
        return with_argument(with_arguments(made, arguments), "from_logits=True")

    script.edits.change(call.node, change)


def _respell_options(script: Script) -> None:
    """What Keras 3 calls an option of an optimizer or of a layer."""
    for call in script.calls_in(script.source.tree):
        for name in call.names:
            if name.startswith("keras.optimizers.") and argument_of(call, "lr"):
                _rename_keyword(script, call, "lr", "learning_rate")
            spelled = getattr(call.function, "spelled", name)
            if is_model_name(name) and not name.endswith("Sequential") and spelled != name:
                script.edits.change(call.node, _without_lists_of_one)
            if name == "keras.layers.LeakyReLU" and argument_of(call, "alpha"):
                _rename_keyword(script, call, "alpha", "negative_slope")
            if name.endswith(".Input") and argument_of(call, "tensor"):
                script.leave(call.node, "an Input of Keras 3 holds no numbers.")
        if call.method == "add_loss" and call.step is not None:
            script.edits.change(
                call.node, lambda node: without(cst.ensure_type(node, cst.Call), 1, "inputs")
            )


def _rename_weights(script: Script) -> None:
    """Keras 3 saves weights to files that end in .weights.h5."""
    files: dict[str, list[ast.expr]] = {}
    for call in script.program.method_calls("save_weights", "load_weights"):
        node = argument(call.node, 0, "filepath")
        name = library.text(script.program.value(node)) if node is not None else None
        if node is not None and name is not None and not name.endswith(".weights.h5"):
            files.setdefault(name, []).append(node)
    saved = {
        node
        for call in script.program.method_calls("save_weights")
        if (node := argument(call.node, 0, "filepath")) is not None
    }
    for name, nodes in files.items():
        if not saved & set(nodes):
            continue  # a file of Keras 2, which Keras 3 still loads
        for node in nodes:
            if isinstance(node, ast.Constant) and name.endswith(".h5"):
                script.edits.respell(node, script.code(node).replace(".h5", ".weights.h5"))
            else:
                script.leave(node, "Keras 3 saves weights only to a file named *.weights.h5.")


def _without_lists_of_one(node: cst.BaseExpression) -> cst.BaseExpression:
    """A model of [x] and [y] is called with lists in Keras 3; Keras 2 took one tensor for it."""
    made = cst.ensure_type(node, cst.Call)
    return made.with_changes(
        args=[
            given.with_changes(value=given.value.elements[0].value)
            if isinstance(given.value, cst.List) and len(given.value.elements) == 1
            else given
            for given in made.args
        ]
    )


def argument_of(call: Call, name: str) -> bool:
    """Whether a call has an argument of a name."""
    return any(keyword.arg == name for keyword in call.node.keywords)


def _rename_keyword(script: Script, call: Call, before: str, after: str) -> None:
    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call)
        found = keyword(made, before)
        return made if found is None else made.with_deep_changes(found, keyword=cst.Name(after))

    script.edits.change(call.node, change)


def port_imports(before: str, code: str) -> str:
    """Import from `keras` what was imported from TensorFlow's, and drop what is used no longer.

    Args:
        before: the script as it was.
        code: the script whose other lines are ported.
    """
    tree = ast.parse(code)
    used = _loaded(tree)
    own = assigned_names(tree)
    imports = _Imports(
        used, _loaded(ast.parse(before)), {"ops"} & used - own - imported_names(tree)
    )
    module = cst.parse_module(code).visit(imports)
    wanted = []
    if "keras" in used - own - imports.bound:
        wanted.append("import keras")
    if imports.missing:
        wanted.append("from keras import ops")
    return module.visit(_Adding(wanted)).code if wanted else module.code


def _loaded(tree: ast.Module) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _moves(module: str) -> bool:
    return library.canonical(module).split(".")[0] in ("keras", "tensorflow")


class _Imports(cst.CSTTransformer):
    """Rewrites imports; `bound` are the names that they bind afterwards."""

    def __init__(self, used: set[str], before: set[str], missing: set[str]):
        super().__init__()
        self.used, self.before, self.missing = used, before, missing
        self.bound: set[str] = set()

    def _is_gone(self, name: str, module: str) -> bool:
        """Whether nothing uses a name any longer; what was never used of Keras 3 stays."""
        return name not in self.used and (name in self.before or not module.startswith("keras"))

    def leave_SimpleStatementLine(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        if len(updated_node.body) != 1:
            return updated_node
        (small,) = updated_node.body
        if _names_backend(small, self.used, self.before):
            return cst.RemoveFromParent()
        if isinstance(small, cst.Import):
            kept = self._import(small)
        elif isinstance(small, cst.ImportFrom):
            kept = self._import_from(small)
        else:
            return updated_node
        lines = [updated_node.with_changes(body=[one]) for one in kept]
        lines[1:] = [line.with_changes(leading_lines=[]) for line in lines[1:]]
        return cst.FlattenSentinel(lines) if len(lines) != 1 else lines[0]

    def _import(self, node: cst.Import) -> list[cst.BaseSmallStatement]:
        kept = []
        for alias in node.names:
            module = code_of(alias.name)
            name = code_of(alias.asname.name) if alias.asname else module.partition(".")[0]
            if _moves(module):
                keras = library.canonical(module)
                if self._is_gone(name, module) or (keras != module and not alias.asname):
                    continue
                alias = alias.with_changes(name=cst.parse_expression(keras))
                alias = alias.with_changes(asname=None) if keras == name else alias
            self.bound.add(name)
            kept.append(alias)
        return _with_names(node, kept)

    def _import_from(self, node: cst.ImportFrom) -> list[cst.BaseSmallStatement]:
        module = code_of(node.module) if node.module is not None else ""
        if node.relative or not _moves(module):
            if not isinstance(node.names, cst.ImportStar):
                self.bound |= {_bound_by(alias) for alias in node.names}
            return [node]
        target = library.canonical(module)
        if target != module and target.startswith("keras"):
            node = node.with_changes(module=cst.parse_expression(target))
        if isinstance(node.names, cst.ImportStar):
            return [node]
        aliases = [a for a in node.names if not self._is_gone(_bound_by(a), module)]
        if target in _WITHOUT_SHORT:
            aliases = [_in_full(alias) for alias in aliases]
        if target == "keras" and aliases and "ops" in self.missing:
            self.missing.discard("ops")
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            aliases[-1] = aliases[-1].with_changes(comma=comma)
            aliases.append(cst.ImportAlias(cst.Name("ops")))
        self.bound |= {_bound_by(alias) for alias in aliases}
        if module != "tensorflow":
            return _with_names(node, aliases)
        # `from tensorflow import keras` is `import keras`.
        own = [alias for alias in aliases if not _is(alias, "keras")]
        moved = [_last(alias) for alias in aliases if _is(alias, "keras")]
        return [*_with_names(node, own), *_with_names(cst.Import(moved), moved)]


def _names_backend(small: cst.BaseSmallStatement, used: set[str], before: set[str]) -> bool:
    """Whether a line says `K = keras.backend` and nothing uses K any longer."""
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return False
    name, value = code_of(small.targets[0].target), code_of(small.value)
    return value in ("keras.backend", "tf.keras.backend") and name in before - used


def _bound_by(alias: cst.ImportAlias) -> str:
    return code_of(alias.asname.name if alias.asname else alias.name)


def _is(alias: cst.ImportAlias, name: str) -> bool:
    return code_of(alias.name) == name


def _in_full(alias: cst.ImportAlias) -> cst.ImportAlias:
    """`mse` is `mean_squared_error as mse`."""
    full = SHORT.get(code_of(alias.name))
    if full is None:
        return alias
    name = alias.asname or cst.AsName(cst.Name(code_of(alias.name)))
    return alias.with_changes(name=cst.Name(full), asname=name)


def _last(alias: cst.ImportAlias) -> cst.ImportAlias:
    return alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)


def _with_names(
    node: cst.Import | cst.ImportFrom, aliases: list[cst.ImportAlias]
) -> list[cst.BaseSmallStatement]:
    """An import of other names; nothing where there are none."""
    if not aliases:
        return []
    if len(aliases) < len(list(node.names)):  # type: ignore[arg-type]
        aliases = [*aliases[:-1], _last(aliases[-1])]
    return [node.with_changes(names=aliases)]


class _Adding(cst.CSTTransformer):
    """Adds imports beside those of Keras, or else before the first one there is."""

    def __init__(self, wanted: list[str]):
        super().__init__()
        self.wanted = wanted

    def leave_Module(self, original_node, updated_node):  # type: ignore[no-untyped-def]
        body = list(updated_node.body)
        for wanted in self.wanted:
            line = cst.ensure_type(cst.parse_statement(wanted), cst.SimpleStatementLine)
            whole = next((p for p, one in enumerate(body) if _says(one, "import keras")), None)
            first = next((p for p, one in enumerate(body) if _imports_keras(one)), None)
            if whole is not None:
                body.insert(whole + 1, line)
                continue
            head = list(itertools.takewhile(_comes_first, body))
            place = len(head) if first is None else first
            if place < len(body):
                line = line.with_changes(leading_lines=body[place].leading_lines)
                body[place] = body[place].with_changes(leading_lines=[])
            body.insert(place, line)
        return updated_node.with_changes(body=body)


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
