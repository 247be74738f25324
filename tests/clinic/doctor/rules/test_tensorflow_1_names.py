"""What the doctor says TensorFlow 2 lacks, it lacks; what it names instead is there."""

import json
import re
from importlib.resources import files

import keras
import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.rules.tensorflow_1_names import BETTER, NEEDLESS
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.explain.tensorflow_1 import gone
from tests.clinic.doctor import tensorflow_1

STORED = json.loads((files("kelbo.clinic.explain") / "tensorflow_1.json").read_text())


def test_the_table_is_what_tensorflow_says_of_itself():
    assert tensorflow_1.table() == STORED


@pytest.mark.parametrize("name", [*BETTER, *NEEDLESS])
def test_what_has_a_better_cure_is_gone(name):
    assert gone(name).name == name
    assert not tensorflow_1.has(name)


@pytest.mark.parametrize("instead", sorted(set(BETTER.values())))
def test_what_is_named_in_its_place_is_there(instead):
    for name in re.findall(r"\btf\.[\w.]*\w", instead):
        assert tensorflow_1.has(name.removeprefix("tf."))
    for name in re.findall(r"\bkeras\.[\w.]*\w", instead):
        here = keras
        for part in name.split(".")[1:]:
            here = getattr(here, part)


HEAD = "import tensorflow as tf\nfrom tensorflow import keras\nkeras.layers.Dense(1)\n"


def findings(script, head=HEAD):
    found = examine(read_script("script.py", (head + script).encode()), select(["KLB406"]))
    return [(finding.happens, finding.repair) for finding in found]


@pytest.mark.parametrize(
    ("script", "happens", "repair"),
    [
        (
            "tf.random_normal(shape)",
            "tf.random_normal is not in TensorFlow 2.",
            "In place of tf.random_normal take tf.random.normal.",
        ),
        (
            "tf.ConfigProto()",
            "tf.ConfigProto is not in TensorFlow 2.",
            "In place of tf.ConfigProto take tf.config.experimental.set_memory_growth and the "
            "like.",
        ),
        (
            "tf.GraphKeys.LOSSES",
            "tf.GraphKeys is not in TensorFlow 2.",
            "In place of tf.GraphKeys take tf.compat.v1.GraphKeys.",
        ),
        (
            "tf.gfile.Exists(path)",
            "tf.gfile.Exists is not in TensorFlow 2.",
            "In place of tf.gfile.Exists take tf.io.gfile.exists, which has other arguments.",
        ),
        (
            "tf.contrib.slim.conv2d(x)",
            "tf.contrib is not in TensorFlow 2.",
            "In place of tf.contrib TensorFlow itself has nothing.",
        ),
        (
            "tf.enable_eager_execution()",
            "tf.enable_eager_execution is not in TensorFlow 2.",
            "Leave tf.enable_eager_execution out: TensorFlow 2 computes eagerly from the start.",
        ),
        (
            "from tensorflow import log, set_random_seed\nset_random_seed(1)",
            "tensorflow.log and tensorflow.set_random_seed are not in TensorFlow 2.",
            "In place of tensorflow.log take tf.math.log; in place of tensorflow.set_random_seed "
            "take tf.random.set_seed.",
        ),
        (
            "from tensorflow.examples.tutorials.mnist import input_data",
            "tensorflow.examples is not in TensorFlow 2.",
            "In place of tensorflow.examples take keras.datasets.",
        ),
        (
            "tf.compat.v1.layers.dense(x, 2)",
            "tf.compat.v1.layers is not in TensorFlow 2.",
            "In place of tf.compat.v1.layers take keras.layers.",
        ),
    ],
)
def test_it_says_what_to_write(script, happens, repair):
    assert findings(script) == [(happens, repair)]


@pytest.mark.parametrize(
    "script",
    [
        "tf.random.normal(shape)",
        "tf.compat.v1.random_normal(shape)",
        "tf.losses.MeanSquaredError()",
        "tf.keras.layers.Dense(1)",
        "try:\n    tf.random_normal(shape)\nexcept AttributeError:\n    pass",
        "if tf.__version__ < '2':\n    tf.set_random_seed(1)",
        "if hasattr(tf, 'set_random_seed'):\n    tf.set_random_seed(1)",
        "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\ntf.placeholder(tf.float32)",
        "import tf_keras\ntf.losses.mean_squared_error(x, y)",
        "import tf_keras\ntf.compat.v1.layers.dense(x, 2)",
        "from tensorflow.python.framework import ops",
    ],
)
def test_nothing_is_said_of_what_is_there(script):
    assert not findings(script)


GRAPH = """import tensorflow as tf
x = tf.placeholder(tf.float32, (None, 4))
y = tf.layers.dense(x, 2)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
"""


def test_a_script_of_version_1_alone_is_said_to_be_one():
    ((happens, repair),) = findings(GRAPH, head="")
    assert happens == (
        "This is a script of TensorFlow 1: it builds a graph and runs it in a session. TensorFlow "
        "2 lacks tf.placeholder and 3 more names that it uses."
    )
    assert repair.startswith("Write it anew as a model of Keras.")
    assert len(findings(GRAPH)) == 4  # beside a layer of Keras
