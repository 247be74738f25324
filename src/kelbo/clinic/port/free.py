"""What a script does with a model that its port would change: then the model is left."""

import ast

from kelbo.clinic.doctor.values import Instance
from kelbo.clinic.doctor.words import dotted, in_words
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script, is_none, model_of

# Attributes that would give a list of tensors where they gave the reconstruction.
_OUTPUTS = {"call", "output", "output_shape", "outputs", "predict_on_batch", "predict_step"}
# Arguments of compile and fit that make some losses count more than others.
_WEIGHTS = {"class_weight", "loss_weights", "sample_weight", "weighted_metrics"}


def refuse_other_uses(script: Script, instance: Instance, has_others: bool) -> None:
    """Refuse uses of the model that mean something else in the port.

    Args:
        script: the script.
        instance: the model.
        has_others: whether the ported model has more outputs than the reconstruction.

    Raises:
        Unportable: with the first of them.
    """
    for node in ast.walk(script.source.tree):
        if isinstance(node, ast.Call):
            used = node.func
        elif isinstance(node, ast.Attribute) and node.attr in _OUTPUTS:
            used = node.value
        else:
            continue
        known = model_of(script.program.value(used)) is instance
        if has_others and (known or _is_of_callback(script, used)):
            code = script.code(node)
            raise Unportable(
                node, f"line {node.lineno} uses {code}, which would hold mu and log_var, too."
            )
    for call in script.calls_in(script.source.tree):
        weighed = [k.arg for k in call.node.keywords if k.arg in _WEIGHTS and not is_none(k.value)]
        if call.method == "compile" and len(call.node.args) > 3:
            weighed.append("loss_weights")
        if weighed and instance in call.owners:
            raise Unportable(
                call.node,
                f"line {call.node.lineno} gives the model {in_words(weighed)}, but the "
                "compute_loss that the port writes does not weigh data.",
            )


def refuse_named_data(script: Script, instance: Instance) -> None:
    """Refuse data by the names of several inputs, which compute_loss would get as a dict.

    Raises:
        Unportable: a call gives the model a dict.
    """
    for call in script.calls_in(script.source.tree):
        data = call.node.args[0] if call.node.args else None
        if isinstance(data, ast.Name):
            bound = [value for name, value in _assignments(script) if name == data.id]
            data = bound[-1] if bound else None
        if isinstance(data, ast.Dict) and instance in call.owners:
            raise Unportable(
                call.node,
                f"line {call.node.lineno} gives the inputs by their names; give a list, in the "
                "order of the inputs.",
            )


def _assignments(script: Script) -> list[tuple[str, ast.expr]]:
    """The names that the script assigns something to, and what."""
    return [
        (target.id, node.value)
        for node in ast.walk(script.source.tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _is_of_callback(script: Script, node: ast.expr) -> bool:
    """Whether it is `self.model`, or an attribute of that, in a callback of the script."""
    if not isinstance(node, ast.Attribute):
        return False
    called = node.attr in _OUTPUTS and isinstance(node.value, ast.Attribute)
    if dotted(node.value if called else node) != "self.model":
        return False
    around = next((n for n in script.above(node) if isinstance(n, ast.ClassDef)), None)
    return around is not None and any(dotted(base).endswith("Callback") for base in around.bases)
