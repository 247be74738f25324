import importlib
import re

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.rules.keras_2_imports import (
    _LEGACY_OPTIMIZERS,
    GONE,
    ONLY_IN_KERAS,
    ONLY_IN_TENSORFLOW,
    RENAMED,
)
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port.names import place

# As `import keras` finds it, and `tensorflow.keras`.
KERAS, TENSORFLOW = "keras", "keras._tf_keras.keras"
ALL = GONE | RENAMED | ONLY_IN_TENSORFLOW | ONLY_IN_KERAS


def is_there(name):
    """Whether a name can be imported or is an attribute of what can."""
    try:
        importlib.import_module(name)
    except ImportError:
        module, _, last = name.rpartition(".")
        return bool(module) and is_there(module) and hasattr(importlib.import_module(module), last)
    return True


@pytest.mark.parametrize("name", ALL)
def test_what_is_said_to_be_gone_is_gone(name):
    assert is_there(name) == (name in ONLY_IN_KERAS)
    assert is_there(name.replace(KERAS, TENSORFLOW, 1)) == (name in ONLY_IN_TENSORFLOW)


@pytest.mark.parametrize("name", RENAMED | ONLY_IN_TENSORFLOW)
def test_the_port_knows_no_other_name_for_it(name):
    ported = place(name).removeprefix("tensorflow.")
    assert ported in (name, ALL[name])


def findings(script):
    source = read_script("script.py", script.encode())
    return [(f.happens, f.repair) for f in examine(source, select(["KLB403"]))]


def test_an_import_names_all_that_is_gone():
    ((happens, repair),) = findings("from keras.layers import Dense, Merge, Deconvolution2D")
    assert happens == "keras.layers.Merge and keras.layers.Deconvolution2D are not in Keras 3."
    assert repair == (
        "In place of keras.layers.Merge there is keras.layers.Concatenate, keras.layers.Add and "
        "their like; in place of keras.layers.Deconvolution2D there is "
        "keras.layers.Conv2DTranspose. Or stay with Keras 2: import from tf_keras, or install "
        "keras<3 with the TensorFlow of its time."
    )


def test_the_variable_of_tensorflow_is_only_named_for_tensorflow():
    ((_, of_keras),) = findings("from keras.layers.core import Dense")
    ((_, of_tensorflow),) = findings("from tensorflow.keras.layers.core import Dense")
    assert "TF_USE_LEGACY_KERAS" not in of_keras
    assert "TF_USE_LEGACY_KERAS=1" in of_tensorflow


ASKS = "import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n"


@pytest.mark.parametrize(
    ("script", "number"),
    [
        (ASKS + "from tensorflow.keras.layers.core import Dense", 0),
        (ASKS + "from keras.layers.core import Dense", 1),
        ("import tf_keras\nfrom keras.layers.core import Dense", 0),
        ("from keras.losses import mse", 1),
        ("from tensorflow.keras.losses import mse", 0),
        ("from keras.losses import mean_squared_error", 0),
        ("from tensorflow.keras.losses import mean_squared_error", 1),
        ("from tensorflow.keras.preprocessing.text import Tokenizer", 0),
        ("import keras\nkeras.losses.mse(x, y)", 1),
        ("import keras\nmodel.compile(loss='mse')", 0),
        ("from tensorflow.python.keras.layers.core import Dense", 0),
    ],
)
def test_it_depends_on_which_keras_it_is(script, number):
    assert len(findings(script)) == number


def test_a_legacy_optimizer_cannot_be_made():
    legacy = importlib.import_module(_LEGACY_OPTIMIZERS.removesuffix("."))
    with pytest.raises(ImportError, match="not supported in Keras 3"):
        legacy.Adam()


@pytest.mark.parametrize("instead", sorted(set(ALL.values())))
def test_what_is_named_in_its_place_is_there(instead):
    names = re.findall(r"(?:tensorflow\.)?keras(?:\.\w+)+", instead)
    assert all(is_there(name.replace("tensorflow.keras", TENSORFLOW)) for name in names)
    assert names or instead in ("a model's fit", "the method summary of the model")
