import ast
import importlib.util
from pathlib import Path

import keras

from kelbo.doctor.rules.backend_functions import _TODAY, SAME, STILL_THERE


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
