"""KLB401."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program, Reading
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Known
from kelbo.clinic.doctor.words import dotted, in_words

# The functions that keras.backend still has in Keras 3.
STILL_THERE = {
    "backend",
    "clear_session",
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
# The functions that keras.ops has under the same name and with the same meaning.
SAME = frozenset(
    """
    abs all any arange argmax argmin binary_crossentropy cast categorical_crossentropy clip
    concatenate cos cumprod cumsum dtype elu equal exp expand_dims eye greater greater_equal less
    less_equal log logsumexp max maximum mean min minimum ndim not_equal one_hot ones ones_like
    prod relu reshape round shape sigmoid sign sin softmax softplus softsign
    sparse_categorical_crossentropy sqrt square squeeze stack std stop_gradient sum tanh tile
    transpose var zeros zeros_like
    """.split()
)
# The functions that `tensorflow.keras.backend` no longer has either.
GONE_FROM_TENSORFLOW = frozenset(
    """
    function get_session image_dim_ordering in_test_phase in_train_phase learning_phase
    learning_phase_scope manual_variable_initialization normalize_batch_in_training placeholder
    print_tensor random_binomial reset_uids set_image_dim_ordering set_learning_phase set_session
    """.split()
)
# The functions to leave out, and why.
_NEEDLESS = {
    "get_session": "there are no sessions",
    "manual_variable_initialization": "variables are initialised when they are made",
    "set_learning_phase": "fit, evaluate and predict pass it to call as training",
    "set_session": "there are no sessions",
}
# The present name of a function that was renamed.
_TODAY = {
    "random_normal": "keras.random.normal",
    "random_uniform": "keras.random.uniform",
    "truncated_normal": "keras.random.truncated_normal",
    "dropout": "keras.random.dropout",
    "pow": "keras.ops.power",
    "permute_dimensions": "keras.ops.transpose",
    "gather": "keras.ops.take",
    "int_shape": "the attribute shape",
    "flatten": "keras.ops.reshape",
    "batch_dot": "keras.ops.matmul",
    "dot": "keras.ops.matmul",
    "constant": "keras.ops.convert_to_tensor",
    "variable": "keras.Variable",
    "eval": "keras.ops.convert_to_numpy",
    "get_value": "keras.ops.convert_to_numpy",
    "set_value": "the method assign of the variable",
    "update": "the method assign of the variable",
    "learning_phase": "the argument training of call",
    "batch_flatten": "keras.ops.reshape",
    "batch_normalization": "keras.ops.batch_normalization, with other arguments",
    "ctc_decode": "keras.ops.ctc_decode, with other arguments",
    "hard_sigmoid": "keras.ops.clip of 0.2 x + 0.5 (keras.ops.hard_sigmoid is x / 6 + 0.5)",
    "identity": "the tensor itself (keras.ops.identity is a matrix)",
    "in_top_k": "keras.ops.in_top_k, with the targets first",
    "repeat": "keras.layers.RepeatVector (keras.ops.repeat is NumPy's)",
    "switch": "keras.ops.where (keras.ops.switch is another function)",
    "l2_normalize": "keras.ops.normalize",
    "reverse": "keras.ops.flip",
    "repeat_elements": "keras.ops.repeat",
    "resize_images": "keras.ops.image.resize",
    "map_fn": "keras.ops.map",
    "print_tensor": "print",
    "image_dim_ordering": "keras.config.image_data_format",
    "in_test_phase": "the argument training of call",
    "in_train_phase": "the argument training of call",
    "placeholder": "keras.Input",
    "function": "a keras.Model",
    "gradients": "tf.GradientTape",
    "random_binomial": "keras.random.binomial",
    "set_image_dim_ordering": (
        'keras.config.set_image_data_format("channels_last" for "tf", "channels_first" for "th")'
    ),
}


class BackendFunctions(Rule):
    """The script computes with `keras.backend`.

    ## What it does
    Reports, once for a script, the functions of `keras.backend` that Keras 3 does not have, if
    `keras.backend` is that of `import keras`. `tf.keras.backend` still has most of them, for
    TensorFlow alone; those that it has lost, such as `get_session`, are reported, too. Code under a
    check of versions is left alone.

    ## Why is this bad
    Keras 3 moved the operations to `keras.ops` and the random numbers to `keras.random`. The old
    names raise AttributeError: module 'keras.backend' has no attribute 'mean'.

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
        """One finding for all such functions, at the first mention of one."""
        gone: dict[str, Reading] = {}
        # A script that asks whether there are graphs runs on a TensorFlow that has these functions.
        graphs = any(program.calls_of("tensorflow.executing_eagerly"))
        of_tensorflow = not graphs and not program.asks_for_keras_2
        for reading in program.readings:
            if isinstance(reading.value, Known) and not reading.guarded:
                head, _, name = reading.value.spelled.rpartition(".")
                lost = head == "tensorflow.keras.backend" and name in GONE_FROM_TENSORFLOW
                if lost and of_tensorflow:
                    gone.setdefault(name, reading)
                elif head == "keras.backend" and _is_gone(name, reading):
                    gone.setdefault(name, reading)
        if gone:
            spelled = {
                name: dotted(reading.node, f"keras.backend.{name}")
                for name, reading in gone.items()
            }
            yield self.finding(
                next(iter(gone.values())).node,
                f"Keras 3 has no {in_words([*spelled.values()])}.",
                _repair(spelled),
            )


def _is_gone(name: str, reading: Reading) -> bool:
    special = name.startswith("__")
    return name not in STILL_THERE and not special and not isinstance(reading.node, ast.Import)


def _repair(spelled: dict[str, str]) -> str:
    """What to write instead of functions; `spelled` has the script's spelling of their names."""
    today = {name: f"keras.ops.{name}" if name in SAME else _TODAY.get(name) for name in spelled}
    known = [f"{there} for {spelled[name]}" for name, there in today.items() if there is not None]
    others = [spelled[n] for n, there in today.items() if there is None and n not in _NEEDLESS]
    sentences = [f"Take {in_words(known)}."] if known else []
    for why in dict.fromkeys(_NEEDLESS[name] for name in spelled if name in _NEEDLESS):
        needless = [spelled[name] for name in spelled if _NEEDLESS.get(name) == why]
        sentences.append(f"Leave {in_words(needless)} out: {why}.")
    if others:
        names = "whose names are those of NumPy; not everything has a counterpart"
        sentences.append(f"For {in_words(others)} see keras.ops, {names}.")
    return " ".join(sentences)
