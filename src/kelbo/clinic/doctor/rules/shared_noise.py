"""KLB311."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.noise import Draw, draws_of_z
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import is_symbolic, known_names

_KERAS = ("keras.", "tensorflow.")
_NUMPY = ("numpy.",)
# A script that mentions one of these may run its steps without compiling them.
_EAGER = {
    "experimental_run_functions_eagerly",
    "run_eagerly",
    "run_functions_eagerly",
    "torch",
}
# Functions that apply a function to each sample.
_MAPS = {"map", "map_fn", "vectorized_map", "vmap"}


class SharedNoise(Rule):
    """The noise of z is not drawn anew for each sample.

    ## What it does
    Reports noise that the model multiplies by a standard deviation, exp(...), if its shape has no
    batch or no latent dimensions, if it is drawn before the step, if Keras 3 draws it with a number
    as the seed, or if NumPy draws it in a step that `fit` compiles.

    ## Why is this bad
    A shape of (latent_dim,) is broadcast: all samples of a batch get one draw. Noise drawn when the
    model is built is a constant: every step gets that draw, and the model learns to subtract it. So
    is the noise that NumPy draws in a compiled step, whose Python runs once, when it is traced. And
    keras.random.normal with a number as its seed returns the same draw at each call.

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
        "Keras 2 and Keras 3 train it silently, but it is not a sample from q(z|x): each datum of "
        "a batch needs its own noise, and each step a new one."
    )
    recipe = "6-encoder-layer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such draw."""
        for draw in draws_of_z(program):
            if happens := _stale(draw, program):
                yield self.finding(
                    draw.node,
                    happens,
                    "Draw it where z is computed, in the call of a layer, in the shape of mu: "
                    "keras.random.normal(ops.shape(mu), seed=self.seed_generator) with a "
                    "SeedGenerator of keras.random, or with TensorFlow "
                    "tf.random.normal(tf.shape(mu)).",
                )


def _stale(draw: Draw, program: Program) -> str:
    """What is wrong with a draw; empty if nothing is."""
    # Draws of jax.random and torch may be written for one sample, to be used under vmap.
    if draw.is_of(*_KERAS):
        lacks_batch = len(draw.shape) == 1 and draw.shape[0] or draw.shape[:1] == (1,)
        if (draw.is_scalar or lacks_batch and len(draw.shape) <= 2) and not _maps(program):
            return (
                f"The noise has the shape {draw.written_shape}, without the batch: all samples of "
                "a batch get the same."
            )
        if draw.shape == (None, 1) and draw.latents is not None:
            return (
                f"The noise has the shape {draw.written_shape}: all {draw.latents} latent "
                "dimensions of a sample get the same number."
            )
        if seeds := _seeds(draw):
            return f"The seed {' or '.join(seeds)} is a number: each call draws the same noise."
    elif not draw.is_of(*_NUMPY):
        return ""
    if _is_drawn_before(draw):
        return "The noise is drawn once, before the training, and every step uses it again."
    if draw.is_of(*_NUMPY) and draw.in_step and _is_compiled(draw, program):
        return (
            "NumPy draws the noise once, when TensorFlow or JAX compiles the step, and every step "
            "and every batch uses it again; on PyTorch alone it is drawn anew."
        )
    return ""


def _maps(program: Program) -> bool:
    """Whether a script applies a function to each sample, so that no axis is the batch."""
    names = {name for reading in program.readings for name in known_names(reading.value)}
    return any(name.rpartition(".")[2] in _MAPS for name in names)


def _is_drawn_before(draw: Draw) -> bool:
    outside = all(c.step is None and not is_symbolic(c.arguments.all) for c in draw.calls)
    # The script's own loop may draw anew what it passes on, and a function within a step runs when
    # the step calls it.
    return outside and not draw.passed and not draw.inside


def _seeds(draw: Draw) -> list[str]:
    """The numbers that keras.random is given as seeds; empty if any may be something else."""
    if not draw.is_of("keras.random.") or not draw.in_step:
        return []
    seeds = {library.whole(call.arguments.get(4, "seed")) for call in draw.calls}
    return [] if None in seeds else sorted(map(str, seeds))


def _is_compiled(draw: Draw, program: Program) -> bool:
    """Whether the steps that draw it are certain to be compiled: only `fit` runs them."""
    if any(_word(node) in _EAGER for node in ast.walk(program.tree)):
        return False
    if all(call.step is not None and call.step.kind == "tf.function" for call in draw.calls):
        return True
    by_hand = any(call.step is None for call in program.calls_of("tensorflow.GradientTape"))
    return not by_hand and any(program.method_calls("fit", "fit_generator", "train_on_batch"))


def _word(node: ast.AST) -> object:
    """The attribute, the keyword or the constant of a syntax node; None if it has none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.keyword):
        return node.arg
    return node.value if isinstance(node, ast.Constant) else None
