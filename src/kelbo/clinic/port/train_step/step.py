"""What a train_step or a test_step does, read strictly: anything unusual is left as it was."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from kelbo.clinic.doctor.values import Class, known_names
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.data import Data

TAPE = "tensorflow.GradientTape"
_WEIGHTS = {"trainable_variables", "trainable_weights"}
_OPTIMIZER = "self.optimizer"


@dataclass
class Step:
    """A step of training or of testing.

    Args:
        script: the script.
        method: the method.
        data: the names that it gives to parts of the data.
        lines: the statements that compute with them, in order.
        updates: the expression that each metric of the model is updated with, by the attribute.
        target: what the tape follows the gradient of; None in a test_step.
        returned: what it returns.
        weights: the models whose weights are trained; "self" for all of them.
        taped: the lines that the tape watches.
        after: the lines that come after the update of the weights.
    """

    script: Script
    method: ast.FunctionDef
    data: Data
    lines: list[ast.stmt] = field(default_factory=list)
    updates: dict[str, ast.expr] = field(default_factory=dict)
    target: ast.expr | None = None
    returned: ast.expr | None = None
    weights: set[str] = field(default_factory=set)
    taped: list[ast.stmt] = field(default_factory=list)
    after: list[ast.stmt] = field(default_factory=list)

    def assigned(self, name: str) -> list[ast.stmt]:
        """The statements that give a name its value."""
        return [line for line in self.lines if name in stored(line)]


def read_step(script: Script, method: ast.FunctionDef) -> Step:
    """Read a step.

    Args:
        script: the script.
        method: its train_step or test_step.

    Raises:
        Unportable: it does something that no compute_loss can.
    """
    arguments = [*method.args.posonlyargs, *method.args.args]
    others = (method.args.vararg, method.args.kwarg, *method.args.kwonlyargs)
    if len(arguments) != 2 or any(others):
        raise Unportable(method, f"{method.name} has arguments other than the data.")
    reading = _Reading(Step(script, method, Data(script, arguments[1].arg)))
    for node in without_docstring(method.body):
        reading.read(node)
    return reading.ended()


class _Reading:
    """Reads the statements of a step one after the other."""

    def __init__(self, step: Step):
        self.step = step
        self.script = step.script
        self.tape = ""
        self.gradients = ""
        self.applied = False
        self.aliases: dict[str, set[str]] = {}

    def read(self, node: ast.stmt) -> None:
        step = self.step
        if step.returned is not None:
            raise Unportable(node, f"line {node.lineno} comes after a return.")
        if isinstance(node, ast.With):
            self._open(node)
        elif isinstance(node, ast.Return):
            step.returned = node.value or ast.Constant(None)
            if any(dotted(n).startswith(_OPTIMIZER) for n in ast.walk(step.returned)):
                raise Unportable(node, f"line {node.lineno} returns a number of the optimizer.")
        elif self._trains(node) or self._is_alias(node) or step.data.takes(node):
            return
        else:
            self._keep(node)

    def _open(self, node: ast.With) -> None:
        item = node.items[0]
        known = known_names(self.script.program.value(getattr(item.context_expr, "func", node)))
        if len(node.items) > 1 or TAPE not in known or self.tape:
            what = "a second tape" if TAPE in known else "a context"
            raise Unportable(node, f"line {node.lineno} opens {what}.")
        options = [*item.context_expr.args, *item.context_expr.keywords]  # type: ignore[attr-defined]
        if options or not isinstance(item.optional_vars, ast.Name):
            raise Unportable(node, f"line {node.lineno} gives the tape options.")
        self.tape = item.optional_vars.id
        before = len(self.step.lines)
        for inner in node.body:
            self.read(inner)
        self.step.taped = self.step.lines[before:]

    def _trains(self, node: ast.stmt) -> bool:
        """Take the statements that compute the gradients and hand them to the optimizer."""
        value = getattr(node, "value", None)
        if not isinstance(node, ast.Assign | ast.Expr) or not isinstance(value, ast.Call):
            return False
        name = dotted(value.func)
        if self.tape and name == f"{self.tape}.gradient":
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._differentiate(value)
                self.gradients = node.targets[0].id
                return True
            return False
        if name in (f"{_OPTIMIZER}.apply_gradients", f"{_OPTIMIZER}.apply"):
            self._apply(value, zipped=name.endswith("_gradients"))
            return True
        if name == f"{_OPTIMIZER}.minimize" and not self.step.target and len(value.args) == 2:
            self._note_target(value.args[0], value.args[1], value)
            self.applied = True
            return all(k.arg == "tape" and dotted(k.value) == self.tape for k in value.keywords)
        return False

    def _differentiate(self, call: ast.Call) -> None:
        given = dict(zip(("target", "sources"), call.args, strict=False))
        given |= {k.arg: k.value for k in call.keywords if k.arg in ("target", "sources")}
        if len(given) != 2 or len(call.args) + len(call.keywords) != 2:
            raise Unportable(call, f"line {call.lineno} gives the gradient options.")
        self._note_target(given["target"], given["sources"], call)

    def _note_target(self, target: ast.expr, weights: ast.expr, call: ast.Call) -> None:
        if self.step.target is not None:
            raise Unportable(call, f"line {call.lineno} follows a second gradient.")
        self.step.target = target
        self.step.weights = self._models_of(weights)
        if not self.step.weights:
            raise Unportable(
                call,
                f"line {call.lineno} trains {self.script.code(weights)}, and fit trains all "
                "weights of the model.",
            )

    def _models_of(self, weights: ast.expr) -> set[str]:
        """The models whose trainable weights an expression is; none if it is something else."""
        if isinstance(weights, ast.Name):
            return self.aliases.get(weights.id, set())
        if isinstance(weights, ast.BinOp) and isinstance(weights.op, ast.Add):
            left, right = self._models_of(weights.left), self._models_of(weights.right)
            return left | right if left and right else set()
        owner, _, name = dotted(weights).rpartition(".")
        return {owner} if name in _WEIGHTS and owner.split(".")[0] == "self" else set()

    def _apply(self, call: ast.Call, zipped: bool) -> None:
        pair = call.args
        if zipped:
            zipping = call.args[0] if len(call.args) == 1 else None
            known = isinstance(zipping, ast.Call) and dotted(zipping.func) == "zip"
            pair = zipping.args if known and isinstance(zipping, ast.Call) else []
        if len(pair) != 2 or call.keywords or self.applied:
            raise Unportable(call, f"line {call.lineno} applies gradients in a way of its own.")
        gradients, weights = pair
        if isinstance(gradients, ast.Call) and dotted(gradients.func) == f"{self.tape}.gradient":
            self._differentiate(gradients)
        elif not isinstance(gradients, ast.Name) or gradients.id != self.gradients:
            raise Unportable(call, self._changed(call.lineno))
        if self._models_of(weights) != self.step.weights:
            raise Unportable(call, f"line {call.lineno} pairs gradients with other weights.")
        self.applied = True

    @staticmethod
    def _changed(line: int) -> str:
        return (
            f"line {line} changes the gradients by hand (an optimizer clips them itself, with "
            "clipnorm=, clipvalue= or global_clipnorm=)."
        )

    @staticmethod
    def _trained(node: ast.stmt, optimizer: str) -> str:
        if optimizer == _OPTIMIZER:
            return f"line {node.lineno} updates the weights in {_kind(node)}."
        return f"line {node.lineno} trains with {optimizer}, and fit has one optimizer, compile's."

    def _is_alias(self, node: ast.stmt) -> bool:
        """Take `variables = self.trainable_variables`."""
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            models = self._models_of(node.value)
            if models and len(node.targets) == 1:
                self.aliases[node.targets[0].id] = models
            return bool(models)
        return False

    def _keep(self, node: ast.stmt) -> None:
        """Keep a statement that computes, and refuse what no compute_loss can do."""
        line = node.lineno
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        for inner in ast.walk(node):
            code = dotted(inner) if isinstance(inner, ast.Attribute) else ""
            if self.tape and code == f"{self.tape}.gradient":
                raise Unportable(inner, self._changed(line))
            if code.endswith((".apply_gradients", ".minimize")):
                owner = code.rpartition(".")[0]
                raise Unportable(inner, self._trained(node, owner))
            if code.startswith((_OPTIMIZER, "self.compiled_")):
                raise Unportable(inner, f"line {line} uses {code}, which no compute_loss can.")
            if isinstance(inner, ast.Lambda | ast.NamedExpr | ast.Await | ast.Yield):
                raise Unportable(inner, f"line {line} holds more than a computation.")
        if self.gradients in names:
            raise Unportable(node, self._changed(line))
        if self.tape in names:
            raise Unportable(node, f"line {line} uses the tape in a way of its own.")
        if isinstance(node, ast.Assign):
            plain = len(node.targets) == 1 and all(map(_is_plain, node.targets))
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            plain = isinstance(node.target, ast.Name) and node.value is not None
        else:
            plain = self._is_update(node)
        if not plain:
            raise Unportable(node, f"line {line} is more than a computation: {_kind(node)}.")
        self.step.lines.append(node)
        self.step.after += [node] * self.applied

    def _is_update(self, node: ast.stmt) -> bool:
        """Whether a statement updates a metric of the model; the metric is noted."""
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            return False
        attribute = dotted(call.func).removesuffix(".update_state")
        owner, _, name = attribute.partition(".")
        known = name in (*self.step.updates, "add_loss", "add_metric")
        if owner != "self" or not name.isidentifier() or known:
            return False
        self.step.updates[name] = call.args[0]
        return True

    def ended(self) -> Step:
        """The step after its last statement."""
        step = self.step
        if step.returned is None:
            raise Unportable(step.method, f"{step.method.name} does not end in a return.")
        if self.tape and not (step.target and self.applied):
            raise Unportable(step.method, "its gradients do not go to self.optimizer.")
        step.returned = made = self._resolved(step.returned)
        if isinstance(made, ast.Call) and dotted(made.func) != "self.get_metrics_result":
            code = self.script.code(made.func)
            raise Unportable(made, f"line {made.lineno} returns what {code} makes.")
        step.data.settle([*step.lines, step.returned])
        return step

    def _resolved(self, returned: ast.expr) -> ast.expr:
        """What is returned; for a name that the last statement gave its value, that value."""
        last = self.step.lines[-1] if self.step.lines else None
        if isinstance(returned, ast.Name) and isinstance(last, ast.Assign):
            if stored(last) == {returned.id} and len(self.step.assigned(returned.id)) == 1:
                self.step.lines.pop()
                return last.value
        return returned


def stored(node: ast.AST) -> set[str]:
    """The names that a statement gives values."""
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def loaded(node: ast.AST) -> set[str]:
    """The names whose values a piece of syntax reads."""
    names = {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    return names | (stored(node.target) if isinstance(node, ast.AugAssign) else set())


def methods(written: Class) -> Iterator[ast.FunctionDef]:
    """The methods of a class."""
    yield from (node for node in written.node.body if isinstance(node, ast.FunctionDef))


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a function that are not its docstring."""
    first = body[0].value if isinstance(body[0], ast.Expr) else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return body[1:] if is_text else body


def _is_plain(target: ast.expr) -> bool:
    """Whether a target is a name or a tuple of names."""
    elements = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return all(isinstance(element, ast.Name) for element in elements)


def _kind(node: ast.stmt) -> str:
    """What a statement is, in a word of Python."""
    kinds = {ast.For: "a loop", ast.While: "a loop", ast.If: "a condition"}
    return kinds.get(type(node), ast.unparse(node).splitlines()[0])
