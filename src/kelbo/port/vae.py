"""The four book recipes become a model with a compute_loss.

In all of them the loss reads tensors of the functional graph. In the port the model hands them
over: its outputs are the reconstruction and whatever else the loss needs, and compute_loss gets
their values for this batch as `y_pred`. There the script's own lines compute the loss.
"""

import ast
import textwrap
from collections.abc import Callable, Sequence

import libcst as cst

from kelbo.beta import explain_beta, format_beta
from kelbo.doctor import library
from kelbo.doctor.objective import balances
from kelbo.doctor.program import Call
from kelbo.doctor.values import (
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Known,
    Tensor,
    Value,
    is_symbolic,
    options,
)
from kelbo.doctor.words import dotted
from kelbo.port.edits import (
    code_of,
    indented,
    with_argument,
    without,
)
from kelbo.port.formula import Formula, formula
from kelbo.port.sampling import REGISTERED
from kelbo.port.script import Script, Unportable, argument, function_of, model_of, same

_Code = Callable[[], str]
_LOSSES = {"squared_error": "mean_squared_error", "absolute_error": "mean_absolute_error"}


# The arguments of compute_loss.
_RESERVED = {"self", "x", "y", "y_pred", "sample_weight"}


class Model:
    """The model that a loss belongs to, and what compute_loss needs of it.

    Args:
        script: the script.
        instance: the functional model.
        output: the expression of its reconstruction, where that is not what it is made of.
    """

    def __init__(self, script: Script, instance: Instance, output: ast.expr | None = None):
        made = instance.node
        if not isinstance(made, ast.Call) or not isinstance(instance.of, Known):
            raise Unportable(made or script.source.tree.body[0], "its class is the script's own.")
        self.input = _alone(instance.inputs)
        if not isinstance(self.input, Tensor):
            raise Unportable(made, "it has more than one input.")
        given = argument(made, 1, "outputs")
        if isinstance(given, ast.List) and len(given.elts) == 1:
            output = output or given.elts[0]
        output = output or given
        if given is None or output is None:
            raise Unportable(made, "its outputs cannot be told.")
        value = _alone(script.program.value(output))
        if not isinstance(value, Tensor):
            raise Unportable(made, "it has more than one output.")
        self.script, self.instance, self.made = script, instance, made
        self.given, self.output, self.value = given, output, value
        self.name = output.id if isinstance(output, ast.Name) else ""
        self.inputs: list[str] = []
        self.others: dict[str, str] = {}
        self.handed: dict[str, Value] = {}
        self.trackers: list[tuple[str, str]] = []
        self.stored = ""
        self.methods: list[_Code] = []

    @property
    def compilations(self) -> list[Call]:
        """Where it is compiled."""
        return [
            call
            for call in self.script.calls_in(self.script.source.tree)
            if call.method == "compile" and self.instance in call.owners
        ]

    def sort(self) -> None:
        """What is handed over, in the order in which the script names it first."""
        first: dict[str, tuple[int, int]] = {}
        for node in ast.walk(self.script.source.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                place = node.lineno, node.col_offset
                first[node.id] = min(place, first.get(node.id, place))
        last = (len(self.script.source.text), 0)
        self.others = dict(sorted(self.others.items(), key=lambda o: first.get(o[0], last)))

    def hand_over(self, node: ast.expr, value: Value) -> str:
        """The name by which compute_loss has a tensor; the model hands it over if need be."""
        name = node.id if isinstance(node, ast.Name) else dotted(node).replace(".", "_")
        name = name.removeprefix("self_")
        value = _alone(value) or value
        if same(value, self.input):
            if name not in self.inputs:
                self.inputs.append(name)
            return name
        if same(value, self.value):
            self.name = self.name or name
            if name != self.name:
                raise Unportable(node, f"the reconstruction is {self.name} and {name}.")
            return name
        if name not in self.others:
            self.others[name] = self._source(node, value)
            self.handed[name] = value
        return name

    def _source(self, node: ast.expr, value: Value | None) -> str:
        """How the place where the model is made calls a tensor."""
        names = [dotted(node)]
        if isinstance(value, Tensor):
            names += self.script.program.names_of(value)
        for name in names:
            if name and self._is_there(name.partition(".")[0]):
                return name
        raise Unportable(node, f"{dotted(node)} is not known where the model is made.")

    def _is_there(self, name: str) -> bool:
        scopes = {self.script.function_around(self.made), None}
        scopes |= {f for f in self.script.above(self.made) if isinstance(f, ast.FunctionDef)}
        for node in ast.walk(self.script.source.tree):
            named = getattr(node, "id", getattr(node, "arg", None)) == name
            binds = isinstance(node, ast.arg) or isinstance(getattr(node, "ctx", None), ast.Store)
            if named and binds and self.script.function_around(node) in scopes:
                if isinstance(node, ast.arg) or node.lineno < self.made.lineno:
                    return True
        return False

    def settle_name(self) -> None:
        """Give the reconstruction a name if it has none."""
        self.name = self.name or self.script.free_name("reconstruction", "reconstructed")

    def write(self, lines: Sequence[_Code], place: ast.stmt, only_here: bool) -> None:
        """Plan the class and the call that makes the model.

        Args:
            lines: of compute_loss, behind its first ones.
            place: what the class stands before.
            only_here: whether the lines use names of the function around it.
        """
        script = self.script
        name = script.free_name("VAE", "VAEModel")
        script.bound.add(name)
        self.settle_name()
        self.sort()
        if _RESERVED & {self.name, *self.others}:
            raise Unportable(self.made, "a tensor has the name of an argument of compute_loss.")

        def outputs(node: cst.BaseExpression) -> cst.BaseExpression:
            made = cst.ensure_type(node, cst.Call).with_changes(func=cst.Name(name))
            code = code_of(node_of(made, 1, "outputs").value)
            if self.output is not self.given:
                code = script.code(self.output)
            listed = cst.parse_expression(f"[{', '.join([code, *self.others.values()])}]")
            found = node_of(made, 1, "outputs")
            return made.with_deep_changes(found, value=listed)

        script.edits.change(self.made, outputs)
        known = list(balances(script.program))
        handed = [self.handed[name] for name in self.others]
        script.formulas.append(formula(known[0], handed) if len(known) == 1 else None)
        where = place if only_here else script.top(place)
        script.edits.insert(where, lambda: self._class(name, lines))

    def _class(self, name: str, lines: Sequence[_Code]) -> str:
        parts = ['"""A VAE whose outputs are all that its loss needs."""\n']
        if self.trackers:
            made = [
                f'self.{attribute} = keras.metrics.Mean(name="{text}")\n'
                for attribute, text in self.trackers
            ]
            parts.append(
                "def __init__(self, inputs, outputs, name=None, **kwargs):\n"
                + indented("super().__init__(inputs, outputs, name=name, **kwargs)\n")
                + indented("".join(made))
            )
        if self.stored:
            parts.append(
                'def compile(self, optimizer="rmsprop", loss=None, **kwargs):\n'
                + indented("super().compile(optimizer=optimizer, **kwargs)\n")
                + indented(f"self.{self.stored} = loss\n")
            )
        parts += [method().strip("\n") + "\n" for method in self.methods]
        first = [f"# {line}\n" for line in weight_in_words(self.script)]
        first += [f"{', '.join([self.name, *self.others])} = y_pred\n"]
        first = [f"{alias} = x\n" for alias in self.inputs if alias != "x"] + first
        body = "".join(first) + "".join(line().strip("\n") + "\n" for line in lines)
        parts.append(
            "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):\n"
            + indented(body)
        )
        if self._has_metrics:
            parts.append(
                "def compute_metrics(self, x, y, y_pred, sample_weight=None):\n"
                + indented("# Of the reconstruction alone, as before.\n")
                + indented("return super().compute_metrics(x, y, y_pred[0], sample_weight)\n")
            )
        parts.append(
            "def predict(self, *args, **kwargs):\n"
            + indented("# The reconstruction alone, as before.\n")
            + indented("return super().predict(*args, **kwargs)[0]\n")
        )
        return f"{REGISTERED}class {name}(keras.Model):\n" + indented("\n".join(parts))

    @property
    def _has_metrics(self) -> bool:
        return any(call.arguments.get(2, "metrics") is not None for call in self.compilations)

    def compile_without_loss(self) -> None:
        """The loss is no longer compile's."""
        for call in self.compilations:
            if argument(call.node, 1, "loss") is not None:
                self.script.edits.change(
                    call.node, lambda node: without(cst.ensure_type(node, cst.Call), 1, "loss")
                )

    @property
    def regularized(self) -> str:
        """What layers add to the loss by themselves."""
        for call in self.script.program.calls:
            for word in call.node.keywords:
                of_layer = word.arg is not None and word.arg.endswith("_regularizer")
                if of_layer and self.script.program.value(word.value) != Constant(None):
                    return " + sum(self.losses)"
        return ""


def _alone(value: Value | None) -> Value | None:
    """What a list of one thing holds."""
    return value.items[0] if isinstance(value, Items) and len(value.items) == 1 else value


def node_of(call: cst.Call, position: int, *names: str) -> cst.Arg:
    """The argument of a call at a position or of a name."""
    for place, given in enumerate(call.args):
        if given.keyword.value in names if given.keyword is not None else place == position:
            return given
    raise LookupError(names)


def weight_in_words(script: Script) -> list[str]:
    """What the KL term counts, in the lines of a comment."""
    betas = {balance.beta for balance in balances(script.program)}
    if len(betas) != 1:
        return ["Reconstruction and KL term weigh what they weighed."]
    (beta,) = betas
    meaning = explain_beta(beta).partition(":")[0]
    said = f"The effective beta is {format_beta(beta)}, as before{': ' * bool(meaning)}{meaning}."
    return textwrap.wrap(said, 78)


def port_vaes(script: Script) -> list[Formula | None]:
    """Port every model whose loss reads tensors of the graph; returns their losses."""
    _port_added_losses(script)
    _port_loss_layers(script)
    _port_closures(script)
    return script.formulas


# Recipes 3 and 4: model.add_loss


def _port_added_losses(script: Script) -> None:
    added: dict[Instance, list[Call]] = {}
    for call in script.calls_in(script.source.tree):
        models = [m for m in call.owners if isinstance(m, Instance) and m.is_model]
        loss = call.arguments.get(0, "losses", "loss")
        if call.method == "add_loss" and call.step is None and models and is_symbolic(loss):
            added.setdefault(models[0], []).append(call)
    for instance, calls in added.items():
        with script.attempt(calls[0].node):
            _port_added(script, Model(script, instance), calls)


def _port_added(script: Script, model: Model, calls: list[Call]) -> None:
    metrics = [
        call
        for call in script.calls_in(script.source.tree)
        if call.method == "add_metric" and model.instance in call.owners
    ]
    used = _Slice(script, model, script.block(calls[0].node))
    losses = [call.node.args[0] for call in calls if call.node.args]
    if len(losses) < len(calls):
        raise Unportable(calls[0].node, "add_loss gets its loss by a name.")
    for expression in losses:
        used.need(expression)
    lines = []
    for call in metrics:
        used.need(_metric(call))
        used.codes.append(_metric(call))
        lines.append(_track(script, model, call))
    compiled = _compiled_loss(script, model)
    parts = [_scalar(script, expression, used.code(expression)) for expression in losses]
    used.finish({*calls, *metrics})
    comments = [script.edits.remove(script.statement(call.node)) for call in calls]
    if compiled:
        lines.append(lambda: f"reconstruction_loss = {compiled()}")
        parts.insert(0, lambda: "reconstruction_loss")
    lines.append(_return(model, parts, comments))
    place = script.statement(model.made)
    model.write([*used.lines, *lines], place, used.only_here)


def _metric(call: Call) -> ast.expr:
    """What add_metric is given."""
    value = argument(call.node, 0, "value")
    name = library.text(call.arguments.get(1, "name")) or ""
    if value is None or not name.isidentifier():
        raise Unportable(call.node, "a metric has no name.")
    return value


def _track(script: Script, model: Model, call: Call) -> _Code:
    """The line of compute_loss for a call of add_metric, which goes."""
    value, name = _metric(call), library.text(call.arguments.get(1, "name")) or ""
    model.trackers.append((f"{name}_tracker", name))
    code, comments = _kept(script, value), script.edits.remove(script.statement(call.node))
    return lambda: f"{comments()}self.{name}_tracker.update_state({code()})"


def _return(model: Model, parts: Sequence[_Code], comments: Sequence[_Code]) -> _Code:
    """The last line, with the comments of the lines that gave the loss to add_loss."""
    return lambda: (
        "".join(comment() for comment in comments) + f"return {_sum(parts)}{model.regularized}"
    )


def _sum(parts: Sequence[_Code]) -> str:
    """The sum of expressions."""
    first, *others = [part() for part in parts]
    return first + "".join(f" - {o[1:]}" if o.startswith("-") else f" + {o}" for o in others)


def _scalar(script: Script, node: ast.expr, code: _Code) -> _Code:
    """One number for the batch."""
    value = script.program.value(node)
    if isinstance(value, Tensor) and value.shape == ():
        return code
    return lambda: f"{script.ops}.mean({code()})"


def _compiled_loss(script: Script, model: Model) -> _Code | None:
    """The loss that compile is given, as an expression of compute_loss; None if it has none."""
    found: dict[str, _Code] = {}
    for call in model.compilations:
        node = argument(call.node, 1, "loss")
        if node is None or isinstance(node, ast.Constant) and node.value is None:
            continue
        value = script.program.value(node)
        for option in options(value):
            name = library.text(option)
            if name is not None and library.loss_kind(name):
                kind = library.loss_kind(name) or ""
                found[name] = _loss_code(script, model, f"keras.losses.{_LOSSES.get(kind, kind)}")
            elif isinstance(option, Known) and library.loss_kind(option.name):
                found[option.name] = _loss_code(script, model, option.name)
            elif isinstance(option, Function):
                model.stored = "reconstruction_loss"
                found[option.name] = _loss_code(script, model, "self.reconstruction_loss")
            elif isinstance(option, Instance) and isinstance(node, ast.Call):
                made = getattr(option.of, "name", "")
                rest = script.code(node).partition("(")[2]
                found[made] = _loss_code(script, model, f"{made}({rest}")
            else:
                raise Unportable(call.node, "what compile is given as its loss is not known.")
    if len(found) > 1:
        raise Unportable(model.made, "the model is compiled with several losses.")
    if not model.stored:
        model.compile_without_loss()
    return next(iter(found.values()), None)


def _loss_code(script: Script, model: Model, name: str) -> _Code:
    call = name + "(y, {})"
    if "(" in name:  # an object, which takes the mean itself
        return lambda: call.format(model.name)
    return lambda: f"{script.ops}.mean({call.format(model.name)})"


class _Slice:
    """The statements that compute a loss from tensors of the graph.

    Args:
        script: the script.
        model: whose loss it is.
        block: the statements among which they are.
    """

    def __init__(self, script: Script, model: Model, block: list[ast.stmt]):
        self.script, self.model, self.block = script, model, block
        self.moved: dict[ast.stmt, _Code] = {}
        self.outside: set[str] = set()
        self.codes: list[ast.expr] = []

    def need(self, expression: ast.AST) -> None:
        """Take in all that an expression is computed from."""
        for node in self._readings(expression):
            value = self.script.program.value(node)
            name = node.id if isinstance(node, ast.Name) else ""
            made = [s for s in self.block if name and name in _assigns(s) and self._computes(s)]
            if made:
                for statement in made:
                    if statement not in self.moved:
                        self.moved[statement] = self.script.edits.move(statement)
                        self.need(statement)
            elif is_symbolic(value):
                known = self.model.hand_over(node, value)
                if not isinstance(node, ast.Name):
                    self.script.edits.respell(node, known)
            elif name:
                self.outside.add(name)

    def _readings(self, expression: ast.AST) -> list[ast.expr]:
        """The names in it, and the attributes that are tensors."""
        found: list[ast.expr] = []
        todo = [expression]
        while todo:
            node = todo.pop(0)
            symbolic = is_symbolic(self.script.program.value(node))
            if isinstance(node, ast.Attribute) and symbolic and dotted(node):
                found.append(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.append(node)
            else:
                if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                    pass  # the statements before it bind what it reads
                todo.extend(ast.iter_child_nodes(node))
        return found

    def _computes(self, statement: ast.stmt) -> bool:
        """Whether a statement computes with tensors of the graph, and no layer does."""
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.AugAssign):
            return True
        if not isinstance(value, ast.BinOp | ast.UnaryOp | ast.Call):
            return False
        if not isinstance(value, ast.Call):
            return is_symbolic(self.script.program.value(value))
        calls = [call for call in self.script.program.calls if call.node is value]
        if not any(is_symbolic(call.arguments.all) for call in calls):
            return False
        for call in calls:
            if any(library.is_maths(n) or library.mean_loss(n) for n in call.names):
                return True
            for option in options(call.function):
                if isinstance(option, Class) and not option.is_layer:
                    return True
                if isinstance(option, Function):
                    result = call.result
                    if isinstance(result, Function) or (
                        isinstance(result, Tensor) and result.opaque is None
                    ):
                        return True
                if isinstance(option, Instance) and not option.is_layer:
                    return True
        return False

    def code(self, expression: ast.expr) -> _Code:
        """What an expression becomes."""
        self.codes.append(expression)
        return _kept(self.script, expression)

    def finish(self, used_by: set[Call]) -> None:
        """Make sure that nothing else uses what is moved."""
        names = {name for statement in self.moved for name in _assigns(statement)}
        inside = {n for s in self.moved for n in ast.walk(s)}
        inside |= {n for call in used_by for n in ast.walk(call.node)}
        for expression in self.codes:
            inside |= set(ast.walk(expression))
        scope = self.script.function_around(self.block[0])
        for name in names:
            for mention in self.script.mentions(name):
                here = self.script.function_around(mention) is scope
                if here and mention not in inside:
                    raise Unportable(mention, f"{name} is a part of the loss and used elsewhere.")

    @property
    def lines(self) -> list[_Code]:
        """What was moved, in the order of the script."""
        return [self.moved[s] for s in self.block if s in self.moved]

    @property
    def only_here(self) -> bool:
        """Whether it uses names that only the function around it knows."""
        return bool(self.outside & _local(self.script, self.block[0]))


def _assigns(statement: ast.stmt) -> set[str]:
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return {
        node.id
        for target in targets
        if target is not None and isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    }


def _local(script: Script, node: ast.AST) -> set[str]:
    """The names that the functions around something bind."""
    names: set[str] = set()
    for outer in script.above(node):
        if isinstance(outer, ast.FunctionDef):
            for inner in ast.walk(outer):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    names.add(inner.id)
                elif isinstance(inner, ast.arg):
                    names.add(inner.arg)
                elif isinstance(inner, ast.FunctionDef | ast.ClassDef) and inner is not outer:
                    names.add(inner.name)
    return names


# Recipe 1: the loss function closes over tensors


def _port_closures(script: Script) -> None:
    compilations = {
        read.step.node for read in script.program.symbolic_reads if read.step.kind == "loss"
    }
    handed = {
        call.node: call
        for call in script.program.calls
        if call.method == "compile"
        and (call.node in compilations or _is_made_of_tensors(script, call))
    }
    for call in handed.values():
        with script.attempt(call.node):
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
        (loss,) = loss.elts
    if any(read.step.kind == "metric" for read in script.program.symbolic_reads):
        raise Unportable(call.node, "a metric reads tensors of the graph, too.")
    function = function_of(script.program.value(loss))
    if function is None:
        raise Unportable(call.node, "the loss that compile is given is no single function.")
    direct = isinstance(loss, ast.Lambda) or (
        isinstance(loss, ast.Name)
        and (isinstance(function.node, ast.FunctionDef) and function.node.name == loss.id)
    )
    if direct:
        names = pass_on(script, model, "loss")
        model.stored = "vae_loss"
        given = ", ".join(f"{name}={name}" for name in names)
        lines = [
            lambda: (
                f"return {script.ops}.mean(self.vae_loss(y, {model.name}, {given}))"
                + model.regularized
            )
        ]
        model.write(lines, script.statement(model.made), False)
        return
    used = _Slice(script, model, script.block(call.node))
    used.need(loss)
    code = used.code(loss)
    used.finish({call})
    model.compile_without_loss()
    lines = [lambda: f"return {script.ops}.mean({code()}(y, {model.name}))" + model.regularized]
    model.write([*used.lines, *lines], script.statement(model.made), used.only_here)


def pass_on(script: Script, model: Model, kind: str, but: ast.AST | None = None) -> list[str]:
    """Make arguments of what the functions of a step read outside.

    Args:
        script: the script.
        model: which hands it over.
        kind: of the step.
        but: the function that has it already.

    Returns:
        The names of the new arguments.
    """
    reads = [read for read in script.program.symbolic_reads if read.step.kind == kind]
    names: list[str] = []
    seen: set[ast.AST] = set()
    for read in reads:
        if read.node in seen:
            continue
        seen.add(read.node)
        known = model.hand_over(read.node, script.program.value(read.node))
        if not isinstance(read.node, ast.Name):
            script.edits.respell(read.node, known)
        names += [known] * (known not in names)
    functions = {read.function for read in reads}
    calls: dict[ast.AST, ast.Call] = {}
    grown = True
    while grown:
        grown = False
        for call in script.program.calls:
            called = function_of(call.function)
            if called is None or called.node not in functions or call.node in calls:
                continue
            around = script.function_around(call.node)
            if around is not None and call.step is not None:
                calls[call.node] = call.node
                grown = True
                functions.add(around)
    model.sort()
    names = [name for name in model.others if name in names]
    for function in functions - {but}:
        _add_parameters(script, function, names)
    for node in calls.values():
        for name in names:
            script.edits.change(node, _adding_argument(f"{name}={name}"))
    return names


def _adding_argument(code: str) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    return lambda node: with_argument(cst.ensure_type(node, cst.Call), code)


def _add_parameters(script: Script, function: ast.AST, names: list[str]) -> None:
    def change(parameters: cst.Parameters) -> cst.Parameters:
        kept = [p.with_changes(comma=cst.MaybeSentinel.DEFAULT) for p in parameters.params]
        # A default that is a tensor of the graph holds no numbers.
        kept = [
            p.with_changes(default=None, equal=cst.MaybeSentinel.DEFAULT)
            if p.name.value in names
            else p
            for p in kept
        ]
        there = {p.name.value for p in kept}
        added = [cst.Param(cst.Name(name)) for name in names if name not in there]
        return parameters.with_changes(params=[*kept, *added])

    if isinstance(function, ast.Lambda):
        script.edits.change(
            function,
            lambda node: node.with_changes(params=change(cst.ensure_type(node, cst.Lambda).params)),
        )
    elif isinstance(function, ast.FunctionDef):
        script.edits.adapt(
            function,
            lambda node: node.with_changes(
                params=change(cst.ensure_type(node, cst.FunctionDef).params)
            ),
        )


# Recipe 2: a last layer computes the loss


def _port_loss_layers(script: Script) -> None:
    reading = {read.function for read in script.program.symbolic_reads if read.step.kind == "call"}
    for written in script.program.classes:
        if not written.is_layer or written.is_model:
            continue
        inside = set(ast.walk(written.node))
        adds = [c for c in script.calls_in(written.node) if c.method == "add_loss"]
        reads_here = any(f in inside for f in reading) or any(
            call.node in inside and {*_called(script, call)} & reading
            for call in script.program.calls
        )
        if adds and reads_here:
            with script.attempt(written.node):
                _port_loss_layer(script, written, adds)


def _called(script: Script, call: Call) -> list[ast.AST]:
    return [o.node for o in options(call.function) if isinstance(o, Function)]


def _port_loss_layer(script: Script, written: Class, adds: list[Call]) -> None:
    call_method = written.body.get("call")
    if not isinstance(call_method, Function) or not isinstance(call_method.node, ast.FunctionDef):
        raise Unportable(written.node, "the layer has no call.")
    if "__init__" in written.body or "build" in written.body:
        raise Unportable(written.node, "the layer that adds the loss has an __init__ or a build.")
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
    parameter = call_method.parameters[1]
    handed = []
    for element in given.elts:
        value = script.program.value(element)
        if same(value, model.input):
            handed.append("x")
        elif element is model.output:
            handed.append("")
        else:
            handed.append(model.hand_over(element, value))
    names = pass_on(script, model, "call", node)
    first, *rest = node.body
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        first, *rest = rest
    prelude: list[_Code] = []
    unpacked = isinstance(first, ast.Assign) and dotted(first.value) == parameter
    if unpacked and isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Tuple):
        targets = [dotted(target) for target in first.targets[0].elts]
        target = targets[handed.index("")]
        model.name = model.name if target in _RESERVED else target
        model.settle_name()
        pairs = [(t, h or model.name) for t, h in zip(targets, handed, strict=True)]
        prelude = [_constant(f"{t} = {h}") for t, h in pairs if t != h]
        body = rest
    else:
        prelude = [lambda: f"{parameter} = [{', '.join(h or model.name for h in handed)}]"]
        body = [first, *rest]
    lines = _loss_lines(script, model, body, adds)
    for other, value in written.body.items():
        if isinstance(value, Function) and value.node is not node:
            if isinstance(value.node, ast.FunctionDef) and other != "get_config":
                model.methods.append(script.edits.move(value.node))
    script.edits.remove(written.node)
    model.compile_without_loss()
    local = _local(script, written.node) - set(names) - {written.name}
    inner = {
        n.id
        for n in ast.walk(written.node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    } - _within(written.node)
    model.write([*prelude, *lines], script.statement(model.made), bool(inner & local))


def _within(node: ast.AST) -> set[str]:
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    } | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def _constant(code: str) -> _Code:
    return lambda: code


def _model_behind(script: Script, use: Call, given: ast.List | ast.Tuple) -> Model:
    """The model that ends in the layer, with the layer's input in the place of its output."""
    parent = script.parents[use.node]
    for call in script.program.calls:
        made = model_of(call.result)
        if made is None or made.node is not call.node:
            continue
        output = argument(call.node, 1, "outputs")
        named = (
            isinstance(parent, ast.Assign)
            and isinstance(output, ast.Name)
            and output.id in _assigns(parent)
            and same(script.program.value(output), script.program.value(use.node))
        )
        if output is use.node or named:
            if named and isinstance(parent, ast.Assign) and isinstance(output, ast.Name):
                end = parent.end_lineno or parent.lineno
                later = [m for m in script.mentions(output.id) if m.lineno > end]
                if later != [output]:
                    raise Unportable(use.node, f"{output.id} is used elsewhere.")
                script.edits.remove(parent)
            entry = _alone(made.inputs)
            others = [e for e in given.elts if not same(script.program.value(e), entry)]
            if not others:
                raise Unportable(use.node, "the layer does not get the reconstruction.")
            return Model(script, made, others[0])
    raise Unportable(use.node, "no model ends in the layer that adds the loss.")


def _loss_lines(
    script: Script, model: Model, body: list[ast.stmt], adds: list[Call]
) -> list[_Code]:
    """The lines of a layer's call as those of compute_loss."""
    lines: list[_Code] = []
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
            losses.append(_scalar(script, expression, _kept(script, expression)))
            comments.append(script.edits.remove(statement))
        elif statement in metrics:
            lines.append(_track(script, model, metrics[statement]))
        else:
            lines.append(script.edits.move(statement))
    return [*lines, _return(model, losses, comments)]


def _kept(script: Script, expression: ast.expr) -> _Code:
    """What an expression becomes."""
    kept = {"code": ""}

    def keep(node: cst.BaseExpression) -> cst.BaseExpression:
        kept["code"] = code_of(node.with_changes(lpar=[], rpar=[]))
        return node

    script.edits.change(expression, keep)
    return lambda: kept["code"]
