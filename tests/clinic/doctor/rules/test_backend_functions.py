import ast
import importlib.util
import re
from pathlib import Path

import keras

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.rules.backend_functions import (
    _NEEDLESS,
    _TODAY,
    GONE_FROM_TENSORFLOW,
    SAME,
    STILL_THERE,
)
from kelbo.clinic.doctor.source import read_script


def test_what_is_said_to_be_there_is_there():
    assert {name for name in dir(keras.backend) if not name.startswith("_")} == STILL_THERE
    assert all(hasattr(keras.ops, name) for name in SAME)
    for today in _TODAY.values():
        if today.startswith("keras."):
            thing = keras
            for part in re.match(r"[\w.]+", today)[0].split(".")[1:]:
                thing = getattr(thing, part)


def test_what_tensorflow_has_lost_is_not_there():
    lost = importlib.import_module("keras._tf_keras.keras.backend")
    assert not any(hasattr(lost, name) for name in GONE_FROM_TENSORFLOW)


def test_what_is_said_to_be_gone_was_there():
    package = Path(importlib.util.find_spec("tf_keras").origin).parent
    tree = ast.parse((package / "src" / "backend.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert names >= SAME
    # Of Keras up to 2.2, or of tf.compat.v1.
    older = {"image_dim_ordering", "set_image_dim_ordering", "get_session", "set_session"}
    assert names | older >= {*_TODAY, *_NEEDLESS, *GONE_FROM_TENSORFLOW}


SCRIPT = """
from keras import backend as K
from keras.backend import dot
print(K.__name__, K.epsilon())
x = K.random_normal((2, 2)) + K.exp(K.mean(y)) + dot(y, y) + K.exp(y) + K.int_shape(y) + K.f(y)
"""


def test_all_functions_that_are_gone_are_one_finding():
    (finding,) = examine(read_script("script.py", SCRIPT.encode()), select(["KLB401"]))
    assert finding.place.line == 3
    assert finding.happens == (
        "Keras 3 has no keras.backend.dot, K.random_normal, K.exp, K.mean, K.int_shape and K.f."
    )
    assert finding.repair == (
        "Take keras.ops.matmul for keras.backend.dot, keras.random.normal for K.random_normal, "
        "keras.ops.exp for K.exp, keras.ops.mean for K.mean and the attribute shape for "
        "K.int_shape. For K.f see keras.ops, whose names are those of NumPy; not everything has a "
        "counterpart."
    )


def test_what_tensorflow_has_lost_is_found_there():
    script = b"""
from tensorflow.keras import backend as K
K.set_session(K.get_session())
K.set_learning_phase(1)
K.mean(x)
"""
    (finding,) = examine(read_script("script.py", script), select(["KLB401"]))
    assert (
        finding.happens == "Keras 3 has no K.set_session, K.get_session and K.set_learning_phase."
    )
    assert finding.repair == (
        "Leave K.set_session and K.get_session out: there are no sessions. Leave "
        "K.set_learning_phase out: fit, evaluate and predict pass it to call as training."
    )
    asks = b"import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'" + script
    assert not examine(read_script("script.py", asks), select(["KLB401"]))
    graphs = b"import tensorflow as tf\nif not tf.executing_eagerly():\n    pass\n" + script
    assert not examine(read_script("script.py", graphs), select(["KLB401"]))
