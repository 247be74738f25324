"""KLB501."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Class, Constant, Function, Instance, Known
from kelbo.clinic.doctor.words import dotted

_VALIDATES = ("validation_data", "validation_split")
_WITHOUT_LOSS = (None, Constant(None))


class StepWithoutCall(Rule):
    """A model with its own train_step is used where it also needs test_step or call.

    ## What it does
    Reports validation, `evaluate` and `predict` of a model whose class has a `train_step`, but not
    the `test_step` or the `call` that they use.

    ## Why is this bad
    `fit` by itself works on TensorFlow. Validation and `evaluate` run `test_step`, which is Keras's
    own if the class has none: it calls the model, and computes the loss that `compile` was given.
    `predict` calls the model.

    ## Example
    ```python
    class VAE(keras.Model):
        def train_step(self, data): ...


    vae.fit(x_train, validation_data=(x_test,))
    ```

    ## Use instead
    ```python
    class VAE(keras.Model):
        def call(self, x): ...

        def train_step(self, data): ...

        def test_step(self, data): ...


    vae.fit(x_train, validation_data=(x_test,))
    ```
    """

    code = "KLB501"
    title = "A train_step without the test_step or call that this needs"
    severity = Severity.ERROR
    explanation = "model-without-call"
    generations = (
        ("Keras 2", "NotImplementedError without call; without a loss the validation loss is 0"),
        ("Keras 3", "NotImplementedError without call; without a loss ValueError, No loss"),
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every use that fails."""
        compiled = [
            owner
            for call in program.method_calls("compile")
            if call.arguments.get(1, "loss") not in _WITHOUT_LOSS
            for owner in call.owners
        ]
        for call in program.method_calls("fit", "evaluate", "predict"):
            model = call.owners[0] if len(call.owners) == 1 else None
            if not isinstance(model, Instance) or not isinstance(model.of, Class):
                continue
            made = model.of
            if _is_known(made) and isinstance(made.find("train_step"), Function):
                lacking = _lacking(call, model, made, model in compiled)
                if lacking:
                    yield self.finding(
                        call.node,
                        f"{_use(call)} needs {lacking}, but {made.name} has none.",
                        f"Write {made.name}.{lacking}{_content(lacking)}",
                    )


def _is_known(made: Class) -> bool:
    """Whether a class inherits only from classes of this script and from keras.Model."""
    return made.is_model and all(
        _is_known(base)
        if isinstance(base, Class)
        else isinstance(base, Known) and base.name.endswith(".Model")
        for base in made.bases
    )


def _lacking(call: Call, model: Instance, made: Class, has_loss: bool) -> str | None:
    """The method that is missing, or None."""
    callable_ = model.outputs is not None or _is_functional(made) or made.find("call") is not None
    if call.method == "predict":
        return None if callable_ or made.find("predict_step") or made.find("predict") else "call"
    named = dict(call.arguments.keywords)
    if call.method == "fit" and not any(
        named.get(name) not in (None, Constant(None), Constant(0.0)) for name in _VALIDATES
    ):
        return None
    if made.find("test_step") is not None or made.find("evaluate") is not None:
        return None
    if not callable_:
        return "test_step"
    own_loss = made.find("compute_loss") or made.find("compile") or _adds_losses(made)
    return None if has_loss or own_loss else "test_step"


def _is_functional(made: Class) -> bool:
    """Whether its __init__ passes, or may pass, inputs and outputs to keras.Model."""
    start = made.find("__init__")
    return isinstance(start, Function) and any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "__init__"
        and (len(node.args) >= 2 or any(k.arg in ("inputs", "outputs") for k in node.keywords))
        for node in ast.walk(start.node)
    )


def _adds_losses(made: Class) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "add_loss" for node in ast.walk(made.node)
    )


def _use(call: Call) -> str:
    name = dotted(call.node.func)
    return f"Validation in {name}" if call.method == "fit" else name


def _content(method: str) -> str:
    if method == "call":
        return "(self, x): it returns what predict should return, decoder(z) or decoder(mu)."
    return "(self, data): it computes the terms of train_step, without the gradients."
