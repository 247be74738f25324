"""KLB406."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program, once
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Known, Value, is_layer_name, options
from kelbo.clinic.doctor.words import dotted, in_words
from kelbo.clinic.explain.tensorflow_1 import Gone, gone

_TENSORFLOW, _VERSION_1 = "tensorflow.", "compat.v1."
# With Keras 2, TensorFlow has these; KLB403 speaks of Keras.
_OF_KERAS = ("losses", "metrics")
# What a script of Keras takes today, which is better than what TensorFlow's tables name.
BETTER = {
    "ConfigProto": "tf.config.experimental.set_memory_growth and the like",
    "GPUOptions": "tf.config.experimental.set_memory_growth and the like",
    "app": "argparse, or absl.app",
    "assign": "the method assign of the variable",
    "distributions": "tensorflow_probability.distributions",
    "examples": "keras.datasets",
    "flags": "argparse, or absl.flags",
    "get_variable": "tf.Variable, or the add_weight of a layer",
    "layers": "keras.layers",
    "losses.huber_loss": "keras.losses.Huber",
    "losses.mean_squared_error": "keras.losses.MeanSquaredError",
    "losses.sigmoid_cross_entropy": "tf.nn.sigmoid_cross_entropy_with_logits",
    "losses.softmax_cross_entropy": "tf.nn.softmax_cross_entropy_with_logits",
    "nn.dynamic_rnn": "keras.layers.RNN",
    "nn.rnn_cell": "keras.layers.LSTMCell and the like",
    "placeholder": "keras.Input, or the argument of a function",
    "random.set_random_seed": "tf.random.set_seed",
    "set_random_seed": "tf.random.set_seed",
    "to_double": "tf.cast with tf.float64",
    "to_float": "tf.cast with tf.float32",
    "to_int32": "tf.cast with tf.int32",
    "to_int64": "tf.cast with tf.int64",
    "train.AdadeltaOptimizer": "keras.optimizers.Adadelta",
    "train.AdagradOptimizer": "keras.optimizers.Adagrad",
    "train.AdamOptimizer": "keras.optimizers.Adam",
    "train.FtrlOptimizer": "keras.optimizers.Ftrl",
    "train.GradientDescentOptimizer": "keras.optimizers.SGD",
    "train.MomentumOptimizer": "keras.optimizers.SGD with a momentum",
    "train.RMSPropOptimizer": "keras.optimizers.RMSprop",
    "train.Saver": "tf.train.Checkpoint, or the save_weights of a model",
    "train.exponential_decay": "keras.optimizers.schedules.ExponentialDecay",
    "truncated_normal_initializer": "keras.initializers.TruncatedNormal",
    "variable_scope": "a layer, which keeps its variables; or tf.name_scope",
}
# What TensorFlow 2 needs no longer.
NEEDLESS = {
    "InteractiveSession": "TensorFlow 2 computes at once, without a session",
    "Session": "TensorFlow 2 computes at once, without a session",
    "enable_eager_execution": "TensorFlow 2 computes eagerly from the start",
    "enable_v2_behavior": "TensorFlow 2 behaves so from the start",
    "global_variables_initializer": "a variable has its value as soon as it is made",
    "initialize_all_variables": "a variable has its value as soon as it is made",
}
# Scripts that build a graph and run it have one of these.
_OF_GRAPHS = ("InteractiveSession", "Session", "placeholder", "train.MonitoredSession")


class TensorFlow1Names(Rule):
    """The script takes something from TensorFlow that only TensorFlow 1 has.

    ## What it does
    Reports every name of TensorFlow 1 that TensorFlow 2 lacks, as TensorFlow's own tables and
    `tf.compat.v1` have them. A script that builds a graph and runs it in a session, without a model
    of Keras, is reported once as a script of TensorFlow 1. Code under a check of versions is left
    alone, and so is `tensorflow.compat.v1`.

    ## Why is this bad
    The script stops with AttributeError, ImportError or ModuleNotFoundError.

    ## Example
    ```python
    tf.set_random_seed(0)
    noise = tf.random_normal(tf.shape(mu))
    ```

    ## Use instead
    ```python
    tf.random.set_seed(0)
    noise = tf.random.normal(tf.shape(mu))
    ```
    """

    code = "KLB406"
    title = "A name of TensorFlow 1 is gone"
    severity = Severity.ERROR
    generations = (
        ("TensorFlow 1", "has it"),
        ("TensorFlow 2", "AttributeError, ImportError or ModuleNotFoundError"),
    )
    why = "TensorFlow 2 moved its functions into modules, and has neither sessions nor tf.contrib."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every mention; or one finding for a script of TensorFlow 1 alone."""
        found = lacking(program)
        if found and is_of_version_1(program):
            yield self._whole(found)
            return
        for node, names in found.items():
            spelled = in_words([written(node, one) for one in names])
            cures = "; ".join(_cure(written(node, one), one) for one in names)
            yield self.finding(
                node,
                f"{spelled} {'is' if len(names) == 1 else 'are'} not in TensorFlow 2.",
                f"{cures[0].upper()}{cures[1:]}.",
            )

    def _whole(self, found: dict[ast.AST, list[Gone]]) -> Finding:
        node = min(found, key=lambda node: (node.lineno, node.col_offset))  # type: ignore
        names = sorted({f"tf.{one.name}" for one in found[node]})
        count = len({one.name for names in found.values() for one in names})
        others = f" and {count - len(names)} more names" if count > len(names) else ""
        return self.finding(
            node,
            f"This is a script of TensorFlow 1: it builds a graph and runs it in a session. "
            f"TensorFlow 2 lacks {in_words(names)}{others} that it uses.",
            "Write it anew as a model of Keras. To run it as it is, begin with import "
            "tensorflow.compat.v1 as tf and tf.disable_v2_behavior(), which have all but "
            "tf.contrib, tf.examples and, with Keras 3, tf.layers.",
        )


@once
def lacking(program: Program) -> dict[ast.AST, list[Gone]]:
    """The mentions of names that TensorFlow 2 lacks; of a chain of attributes only one is named."""
    found: dict[ast.AST, list[Gone]] = {}
    for reading in program.readings:
        imports = isinstance(reading.node, ast.Import | ast.ImportFrom)
        for value in () if reading.guarded else options(reading.value):
            one = gone_from(value, program)
            if one is None or not (imports or value.spelled.endswith(f".{one.name}")):  # type: ignore
                continue
            names = found.setdefault(reading.node, [])
            if one not in names:
                names.append(one)
    within = {inner for node in found for inner in ast.walk(node) if inner is not node}
    imported = [n for node in found if isinstance(node, ast.ImportFrom) for n in found[node]]
    return {
        node: names
        for node, names in found.items()
        if node not in within and not (isinstance(node, ast.Name) and names[0] in imported)
    }


def is_of_version_1(program: Program) -> bool:
    """Whether a script builds a graph of TensorFlow 1 and has no layer and no model of Keras."""
    named = {one.name for names in lacking(program).values() for one in names}
    layers = any(is_layer_name(name) for call in program.calls for name in call.names)
    keras = layers or any(made.is_layer for made in program.classes)
    return not keras and not named.isdisjoint(_OF_GRAPHS)


def written(node: ast.AST, one: Gone) -> str:
    """How a script writes a name: `tf.random_normal`."""
    name = dotted(node)
    return name if name.endswith(f".{one.name}") else f"{_TENSORFLOW}{one.name}"


def gone_from(value: Value, program: Program) -> Gone | None:
    """What became of something that TensorFlow 2 lacks; None for everything else."""
    if not isinstance(value, Known) or not value.spelled.startswith(_TENSORFLOW):
        return None
    name = value.spelled.removeprefix(_TENSORFLOW)
    old = name.startswith(_VERSION_1)
    one = gone(name.removeprefix(_VERSION_1))
    if one is None or (old and (one.instead is not None or program.asks_for_keras_2)):
        return None
    of_keras = one.name.startswith(_OF_KERAS) and program.asks_for_keras_2
    return None if of_keras else one


def _cure(name: str, one: Gone) -> str:
    if one.name in NEEDLESS:
        return f"leave {name} out: {NEEDLESS[one.name]}"
    if one.name in BETTER:
        return f"in place of {name} take {BETTER[one.name]}"
    if one.instead is None:
        return f"in place of {name} TensorFlow itself has nothing"
    changed = "" if one.same or one.is_in_version_1 else ", which has other arguments"
    return f"in place of {name} take tf.{one.instead}{changed}"
