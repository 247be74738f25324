import importlib
import re

import pytest

from kelbo.doctor.rules.keras_2_imports import _LEGACY_OPTIMIZERS, GONE

# As `tensorflow.keras` finds it, and `import keras`.
ROOTS = ("keras", "keras._tf_keras.keras")


def is_there(name):
    """Whether a name can be imported or is an attribute of what can."""
    try:
        importlib.import_module(name)
    except ImportError:
        module, _, last = name.rpartition(".")
        return bool(module) and is_there(module) and hasattr(importlib.import_module(module), last)
    return True


@pytest.mark.parametrize("name", GONE)
@pytest.mark.parametrize("root", ROOTS)
def test_what_is_said_to_be_gone_is_gone(root, name):
    assert not is_there(name.replace("keras", root, 1))


def test_a_legacy_optimizer_cannot_be_made():
    legacy = importlib.import_module(_LEGACY_OPTIMIZERS.removesuffix("."))
    with pytest.raises(ImportError, match="not supported in Keras 3"):
        legacy.Adam()


@pytest.mark.parametrize("instead", sorted(set(GONE.values())))
def test_what_is_named_in_its_place_is_there(instead):
    names = re.findall(r"keras(?:\.\w+)+", instead)
    assert all(map(is_there, names))
    assert names or instead == "a model's fit"
