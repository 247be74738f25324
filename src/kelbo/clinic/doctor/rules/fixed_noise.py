"""KLB314."""

from collections.abc import Iterator

from kelbo.clinic.doctor.noise import draws_of_z
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Constant, Items, Value

_LIBRARIES = ("keras.", "tensorflow.")
_INPUTS = {"keras.Input", "keras.layers.Input", "keras.layers.InputLayer"}
# The position of drop_remainder among the arguments of tf.data's methods.
_DROPS = {"batch": 1, "padded_batch": 3}


class FixedNoise(Rule):
    """The noise of z is drawn for one batch size that is written down.

    ## What it does
    Reports noise of a shape such as (128, latent_dim) that the model multiplies by a standard
    deviation. An `Input` with a batch_shape or a batch_size, a batch_input_shape or
    `drop_remainder=True` says that all batches have one size: then nothing is reported.

    ## Why is this bad
    Every batch must have that size. 60000 images in batches of 128 end in one of 96, and predict
    takes 32 at a time: both stop. A batch of one datum is broadcast, and has 128 results.

    ## Example
    ```python
    noise = keras.random.normal((batch_size, latent_dim), seed=self.seed_generator)
    z = mu + ops.exp(0.5 * log_var) * noise
    ```

    ## Use instead
    ```python
    noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
    z = mu + ops.exp(0.5 * log_var) * noise
    ```
    """

    code = "KLB314"
    title = "The noise is drawn for one batch size"
    severity = Severity.WARNING
    generations = (
        ("Keras 2", "trains until a batch of another size comes: InvalidArgumentError"),
        ("Keras 3 on TensorFlow", "the same: InvalidArgumentError, or ValueError in predict"),
        (
            "Keras 3 on JAX and PyTorch",
            "a functional model is not even built: TypeError and RuntimeError",
        ),
    )
    why = "The last batch of an epoch and those of predict have sizes of their own."
    recipe = "6-encoder-layer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such draw."""
        draws = draws_of_z(program)
        if not draws or _has_one_size(program):
            return
        for draw in draws:
            if draw.is_of(*_LIBRARIES) and draw.in_step and len(draw.shape) == 2:
                if (size := draw.shape[0]) is not None and size > 1:
                    yield self.finding(
                        draw.node,
                        f"The noise has the shape {draw.written_shape}, for batches of {size} "
                        "data.",
                        "Draw it in the shape of mu: keras.random.normal(ops.shape(mu), ...), or "
                        "with TensorFlow tf.random.normal(tf.shape(mu)).",
                    )


def _has_one_size(program: Program) -> bool:
    """Whether the script makes sure that all batches have one size."""
    for call in program.calls:
        given = {name: size for name, size in call.arguments.keywords if not _is_open(size)}
        drops = call.arguments.get(_DROPS.get(call.method or ""), "drop_remainder")
        if "batch_input_shape" in given or drops == Constant(True):
            return True
        if call.names & _INPUTS and given.keys() & {"batch_shape", "batch_size"}:
            return True
    return False


def _is_open(size: Value) -> bool:
    """Whether a size leaves the batch open: it is None, or a shape that begins with None."""
    first = size.items[0] if isinstance(size, Items) and size.items else size
    return first == Constant(None)
