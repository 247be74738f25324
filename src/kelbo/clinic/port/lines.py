"""Lines of compute_loss that replace calls of add_loss and add_metric."""

import ast
from collections.abc import Sequence

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Tensor
from kelbo.clinic.port.edits import Code, Unportable
from kelbo.clinic.port.model import Model
from kelbo.clinic.port.script import Script, argument
from kelbo.clinic.port.slice import kept


def metric_of(call: Call) -> ast.expr:
    """The value that add_metric is given."""
    value = argument(call.node, 0, "value")
    name = library.text(call.arguments.get(1, "name")) or ""
    if value is None or not name.isidentifier():
        raise Unportable(call.node, "a metric has no name.")
    return value


def track(script: Script, model: Model, call: Call) -> Code:
    """The line of compute_loss that replaces a call of add_metric."""
    value, name = metric_of(call), library.text(call.arguments.get(1, "name")) or ""
    model.trackers.append((f"{name}_tracker", name))
    code, comments = kept(script, value), script.edits.remove(script.statement(call.node))
    return lambda: f"{comments()}self.{name}_tracker.update_state({code()})"


def last_line(parts: Sequence[Code], comments: Sequence[Code], added: str) -> Code:
    """The last line, with the comments of the lines that called add_loss.

    Args:
        parts: the parts of the loss.
        comments: the comments.
        added: the code that adds what layers add by themselves.
    """
    return lambda: "".join(comment() for comment in comments) + f"return {_sum(parts)}{added}"


def _sum(parts: Sequence[Code]) -> str:
    """The sum of expressions."""
    first, *others = [part() for part in parts]
    return first + "".join(f" - {o[1:]}" if o.startswith("-") else f" + {o}" for o in others)


def one_number(script: Script, node: ast.expr, code: Code) -> Code:
    """The code of one number for the batch."""
    value = script.program.value(node)
    if isinstance(value, Tensor) and value.shape == ():
        return code
    return lambda: f"{script.ops}.mean({code()})"
