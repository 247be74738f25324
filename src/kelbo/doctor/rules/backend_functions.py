"""KLB401."""

import ast
from collections.abc import Iterator

from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Known, options

# What keras.backend still has in Keras 3.
_STILL_THERE = {
    "backend",
    "clear_session",
    "config",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
}
# What a function is called today, where it has another name.
_TODAY = {
    "random_normal": "keras.random.normal",
    "random_uniform": "keras.random.uniform",
    "truncated_normal": "keras.random.truncated_normal",
    "dropout": "keras.random.dropout",
    "pow": "keras.ops.power",
    "concatenate": "keras.ops.concatenate",
    "permute_dimensions": "keras.ops.transpose",
    "gather": "keras.ops.take",
    "int_shape": "the attribute shape",
    "flatten": "keras.ops.reshape",
    "batch_dot": "keras.ops.matmul",
    "dot": "keras.ops.matmul",
    "clip": "keras.ops.clip",
    "get_session": "nothing: there are no sessions",
    "set_session": "nothing: there are no sessions",
    "placeholder": "keras.Input",
    "function": "a keras.Model",
    "gradients": "tf.GradientTape",
}


class BackendFunctions(Rule):
    """The script computes with `keras.backend`.

    ## What it does
    Reports functions of `keras.backend` that Keras 3 does not have, where `keras.backend` is that
    of `import keras`. `tf.keras.backend` still has most of them, for TensorFlow alone. What stands
    behind a look at the version is left alone.

    ## Why is this bad
    Keras 3 moved the operations to `keras.ops` and the random numbers to `keras.random`:
    AttributeError, module 'keras.backend' has no attribute 'mean'.

    ## Example
    ```python
    from keras import backend as K

    kl = -0.5 * K.mean(1 + log_var - K.square(mu) - K.exp(log_var))
    ```

    ## Use instead
    ```python
    from keras import ops

    kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
    ```
    """

    code = "KLB401"
    title = "A function of keras.backend is gone"
    severity = Severity.ERROR
    explanation = "backend-function-gone"
    docs = "docs/kl-loss.md, the four rules"

    def check(self, program: Program) -> Iterator[Finding]:
        """The first mention of each such function."""
        seen: set[str] = set()
        for reading in program.readings:
            if reading.guarded:
                continue
            for option in options(reading.value):
                if not isinstance(option, Known) or option != reading.value:
                    continue
                head, _, name = option.spelled.rpartition(".")
                if head == "keras.backend" and name not in _STILL_THERE | seen:
                    if isinstance(reading.node, ast.Import):
                        continue
                    seen.add(name)
                    yield self.finding(
                        reading.node,
                        f"Keras 3 has no keras.backend.{name}.",
                        f"In its place there is {_TODAY.get(name, f'keras.ops.{name}')}.",
                    )
