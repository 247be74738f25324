"""Every binary cross-entropy that a script computes, by hand or by compile."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.expressions import number
from kelbo.clinic.doctor.program import Call, Program, once
from kelbo.clinic.doctor.tensors import sequential_activation
from kelbo.clinic.doctor.values import (
    UNKNOWN,
    Constant,
    Instance,
    Items,
    Known,
    Table,
    Tensor,
    Value,
    options,
)
from kelbo.clinic.doctor.words import dotted

_KIND = "binary_crossentropy"
_OF_LOGITS = "tensorflow.nn.sigmoid_cross_entropy_with_logits"


@dataclass(frozen=True)
class CrossEntropy:
    """One binary cross-entropy.

    Args:
        node: the syntax.
        call: the call that computes it, or compile.
        target: the target; None if fit supplies it.
        output: the output of the model.
        from_logits: whether the output is taken as logits; None if not known.
    """

    node: ast.AST
    call: Call
    target: Value | None
    output: Value
    from_logits: bool | None

    @property
    def name(self) -> str:
        """What the script calls the output, for a sentence."""
        if self.call.method == "compile" and self.target is None:
            model = dotted(getattr(self.call.node.func, "value", None), "the model")
            return f"the output of {model}"
        places = [node for node in self.call.node.args[1:2] if not isinstance(node, ast.Starred)]
        named = [
            k.value for k in self.call.node.keywords if k.arg in ("output", "y_pred", "logits")
        ]
        return dotted(next(iter((*named, *places)), None), "the output")

    @property
    def activation(self) -> str | None:
        """The activation of the layer that made the output, "linear" included; None if unknown."""
        names = {
            option.activation or _operation(option) if isinstance(option, Tensor) else None
            for option in options(self.output)
        }
        return names.pop() if len(names) == 1 else None


def _operation(tensor: Tensor) -> str | None:
    """The last operation of a tensor, such as the sigmoid of `tf.sigmoid(logits)`."""
    name = getattr(tensor.expression.atom, "name", None)
    return name if name in ("relu", "sigmoid", "softplus", "tanh") else None


@once
def cross_entropies(program: Program) -> list[CrossEntropy]:
    """All binary cross-entropies of a script, in any order."""
    found = [entropy for call in program.calls for entropy in _of_call(program, call)]
    if program.changes_activations:
        return [replace(entropy, output=UNKNOWN) for entropy in found]
    return found


def _of_call(program: Program, call: Call) -> Iterator[CrossEntropy]:
    if call.method == "compile":
        yield from _compiled(program, call)
    yield from _computed(call, call.function)


def _computed(call: Call, function: Value) -> Iterator[CrossEntropy]:
    target = call.arguments.get(0, "target", "y_true", "labels")
    output = call.arguments.get(1, "output", "y_pred", "logits")
    if output is None:
        return
    if isinstance(function, Known):
        kind = library.elementwise_loss(function.name) or library.mean_loss(function.name)
        if kind == _KIND and not function.name.rpartition(".")[2][:1].isupper():
            logits = function.name == _OF_LOGITS or _flag(call.arguments.get(2, "from_logits"))
            yield CrossEntropy(call.node, call, target, output, logits)
    elif _is_loss(function):
        yield CrossEntropy(call.node, call, target, output, _of_loss(function))


def _compiled(program: Program, call: Call) -> Iterator[CrossEntropy]:
    loss = call.arguments.get(1, "loss")
    for model in call.owners:
        outputs = _outputs(program, model)
        for one, output in _pairs(loss, outputs):
            if _is_loss(one):
                yield CrossEntropy(call.node, call, None, output, _of_loss(one))


def _outputs(program: Program, model: Value) -> Value | None:
    if not isinstance(model, Instance) or not model.is_model:
        return None
    if model.outputs is not None:
        return model.outputs
    if isinstance(model.of, Known):
        return Tensor(number(0.0), activation=sequential_activation(model))
    # For a subclass, what its call returns.
    returned = [
        result
        for step, result in program.results
        if step.kind == "call" and step.function.owner is model
    ]
    return returned[-1] if returned else None


def _pairs(loss: Value | None, outputs: Value | None) -> Iterator[tuple[Value, Value]]:
    if isinstance(outputs, Tensor) and loss is not None:
        yield loss.items[0] if isinstance(loss, Items) and len(loss.items) == 1 else loss, outputs
    elif isinstance(outputs, Items) and isinstance(loss, Items):
        if len(loss.items) == len(outputs.items):
            yield from zip(loss.items, outputs.items, strict=True)
    elif isinstance(outputs, Table) and isinstance(loss, Table):
        named = dict(outputs.entries)
        yield from ((one, named[key]) for key, one in loss.entries if key in named)


def _is_loss(value: Value) -> bool:
    """Whether a loss is the binary cross-entropy, given by name, as a function or as an object."""
    if isinstance(value, Instance):
        return isinstance(value.of, Known) and library.mean_loss(value.of.name) == _KIND
    if isinstance(value, Known):
        return library.mean_loss(value.name) == _KIND
    return library.loss_kind(library.text(value) or "") == _KIND


def _of_loss(value: Value) -> bool | None:
    return _flag(value.arguments.get(0, "from_logits")) if isinstance(value, Instance) else False


def _flag(value: Value | None) -> bool | None:
    if value is None:
        return False
    return value.value if isinstance(value, Constant) and isinstance(value.value, bool) else None
