"""KLB311."""

import ast
from collections.abc import Iterator

from kelbo.doctor import library
from kelbo.doctor.expressions import Noise, Operation
from kelbo.doctor.program import Call, Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Tensor, Value, is_symbolic

# jax.random and torch are written for one sample too, under vmap.
_LIBRARIES = ("keras.", "tensorflow.")


class SharedNoise(Rule):
    """The noise of z is not drawn anew for each sample.

    ## What it does
    Reports a noise that a standard deviation, exp(...), is multiplied by where the model is
    computed, if its shape has no batch in it, or if it was drawn before the step.

    ## Why is this bad
    A shape of (latent_dim,) is broadcast: all samples of a batch get one draw. Noise that is drawn
    when the model is built is a constant: every step gets that draw, and the model learns to
    subtract it.

    ## Example
    ```python
    noise = keras.random.normal((latent_dim,))
    z = mu + ops.exp(0.5 * log_var) * noise
    ```

    ## Use instead
    ```python
    noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
    z = mu + ops.exp(0.5 * log_var) * noise
    ```
    """

    code = "KLB311"
    title = "The noise is not fresh for each sample"
    severity = Severity.ERROR
    why = (
        "Keras 2 and Keras 3 train it silently, and it is no sample of q(z|x): each datum of a "
        "batch needs its own noise, and each step a new one."
    )
    recipe = "6-encoder-layer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such draw."""
        draws: dict[ast.AST, list[Call]] = {}
        for call in program.calls:
            if isinstance(call.result, Tensor) and isinstance(call.result.expression.atom, Noise):
                if call.result.expression.atom.node is call.node:
                    draws.setdefault(call.node, []).append(call)
        if not draws:
            return
        in_step = {node for step, _ in program.results for node in ast.walk(step.function.node)}
        seen = set()
        for node, value in program.tensors:
            if not isinstance(node, ast.BinOp | ast.Call):
                continue
            if not (value.symbolic or node in in_step):
                continue
            for noise in _scaled_noise(value):
                if noise in draws and noise not in seen:
                    seen.add(noise)
                    yield from self._at(draws[noise])

    def _at(self, draws: list[Call]) -> Iterator[Finding]:
        call = draws[0]
        if not all(name.startswith(_LIBRARIES) for name in call.names):
            return
        shape = call.arguments.get(0, "shape")
        repair = (
            "Draw it where z is computed, in the call of a layer, in the shape of mu: "
            "keras.random.normal(ops.shape(mu), seed=self.seed_generator), or with TensorFlow "
            "tf.random.normal(tf.shape(mu))."
        )
        if _is_for_one(shape):
            happens = (
                f"The noise has the shape {ast.unparse(_node_of_shape(call.node))}, without the "
                "batch: all samples of a batch get the same."
            )
            yield self.finding(call.node, happens, repair)
        elif all(c.step is None and not is_symbolic(c.arguments.all) for c in draws):
            happens = "The noise is drawn once, before the training, and every step uses it again."
            yield self.finding(call.node, happens, repair)


def _scaled_noise(value: Tensor) -> Iterator[ast.AST]:
    """The draws of a Gaussian that a standard deviation is multiplied by."""
    for _, atoms in value.expression.terms:
        deviations = [a for a in atoms if isinstance(a, Operation) and a.name in ("exp", "sqrt")]
        if deviations:
            yield from (a.node for a in atoms if isinstance(a, Noise) and a.kind == "normal")


def _is_for_one(shape: Value | None) -> bool:
    """Whether a shape is (latent_dim,) or (1, latent_dim)."""
    sizes = library.sizes(shape)
    return sizes is not None and (len(sizes) == 1 or (len(sizes) == 2 and sizes[0] == 1))


def _node_of_shape(call: ast.Call) -> ast.expr:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "shape"]
    return named[0] if named else call.args[0]
