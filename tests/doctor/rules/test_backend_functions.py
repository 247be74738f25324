import ast
import importlib.util
from pathlib import Path

import keras

from kelbo.doctor import examine, select
from kelbo.doctor.rules.backend_functions import _TODAY, SAME, STILL_THERE
from kelbo.doctor.source import read_script


def test_what_is_said_to_be_there_is_there():
    assert {name for name in dir(keras.backend) if not name.startswith("_")} == STILL_THERE
    assert all(hasattr(keras.ops, name) for name in SAME)
    for today in _TODAY.values():
        if today.startswith("keras."):
            thing = keras
            for part in today.split()[0].strip(",").split(".")[1:]:
                thing = getattr(thing, part)


def test_what_is_said_to_be_gone_was_there():
    package = Path(importlib.util.find_spec("tf_keras").origin).parent
    tree = ast.parse((package / "src" / "backend.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert names >= SAME
    assert names >= set(_TODAY) - {"get_session", "set_session"}


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
        "K.int_shape. Look for K.f in keras.ops, whose names are those of NumPy."
    )
