"""KLB505."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Class, Constant, Function
from kelbo.clinic.doctor.words import dotted

_CALLBACK = "keras.callbacks.Callback"


class BakedWeight(Rule):
    """A callback sets a weight of the loss as a plain number.

    ## What it does
    Reports assignments in a callback to an attribute of the model, or to a global number, that a
    training step reads; and leaves a script alone that compiles with `run_eagerly=True`.

    ## Why is this bad
    On TensorFlow and JAX the step is compiled when it first runs, and a Python number becomes a
    constant of it. The callback changes the attribute, and the loss keeps the first value: an
    annealed KL weight stays at 0.

    ## Example
    ```python
    class Annealing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.beta = min(1.0, epoch / 10)
    ```

    ## Use instead
    ```python
    class Annealing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.beta.assign(min(1.0, epoch / 10))  # keras.Variable(0.0, trainable=False)
    ```
    """

    code = "KLB505"
    title = "A callback sets a number that the compiled step has kept"
    severity = Severity.WARNING
    generations = (
        ("Keras on TensorFlow, and Keras 3 on JAX", "the step keeps the first value, silently"),
        ("Keras 3 on PyTorch, and run_eagerly=True", "the step reads the new value"),
    )
    why = "A compiled step has a Python number as a constant; only a variable can change."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such assignment."""
        if any(
            call.arguments.get(None, "run_eagerly") == Constant(True)
            for call in program.method_calls("compile")
        ):
            return
        read = _read_in_steps(program)
        numbers = _numbers(program.tree)
        for made in program.classes:
            if _CALLBACK not in made.lineage:
                continue
            for target in _assigned(made):
                if isinstance(target, ast.Attribute):
                    name, baked = dotted(target), f".{target.attr}" in read
                else:
                    name, baked = target.id, target.id in read and target.id in numbers
                if baked:
                    yield self.finding(
                        target,
                        f"The callback sets {name}, which the training step reads as a number.",
                        f"Make it a variable, keras.Variable(0.0, trainable=False), and write "
                        f"{name}.assign(...) in the callback.",
                    )


def _assigned(made: Class) -> Iterator[ast.Attribute | ast.Name]:
    """What the methods of a callback assign to another object, or to a global name."""
    for method in made.body.values():
        if not isinstance(method, Function):
            continue
        nodes = list(ast.walk(method.node))
        shared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                if node.id in shared:
                    yield node
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                    yield node


def _read_in_steps(program: Program) -> set[str]:
    """The names that training steps read, and `.name` for the attributes of self."""
    read = set()
    for step, _ in program.results:
        for node in ast.walk(step.function.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                read.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    read.add(f".{node.attr}")
    return read


def _numbers(tree: ast.Module) -> set[str]:
    """The names that the module binds to a number."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, int | float)
    }
