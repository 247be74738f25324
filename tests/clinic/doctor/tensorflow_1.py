"""Measures which names of TensorFlow 1 the installed TensorFlow lacks, and what it has instead.

`python -m tests.clinic.doctor.tensorflow_1 TABLE.json`, which `make tables` runs, writes the table
that the doctor and `kelbo explain` read.
"""

import inspect
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.tools.compatibility.all_renames_v2 import symbol_renames

from kelbo.files import write_text

_MISSING = object()
# KLB403 speaks of Keras; the flags are absl's, with all that absl defines for itself.
_OTHERS = ("keras", "compat", "flags", "app.flags", "contrib_")
# Modules of early releases of TensorFlow 2 too, which its tables no longer mention.
_FORGOTTEN = ("estimator", "examples")


def found(name: str) -> object:
    """What TensorFlow has under a name, such as `random.normal`."""
    here: object = tf
    for part in name.split("."):
        try:
            here = getattr(here, part)
        except (AttributeError, ImportError):
            return _MISSING
    return here


def has(name: str) -> bool:
    """Whether TensorFlow has a function, a class, or a module that is not empty."""
    here = found(name)
    if isinstance(here, types.ModuleType):
        return any(found(f"{name}.{inner}") is not _MISSING for inner in _public(here))
    return here is not _MISSING


def _public(module: types.ModuleType) -> list[str]:
    try:
        return [name for name in dir(module) if not name.startswith("_")]
    except ImportError:  # a module of Keras that Keras 3 lacks
        return []


def _is_of_tensorflow(module: types.ModuleType) -> bool:
    try:
        return module.__name__.startswith("tensorflow.")
    except (AttributeError, ImportError):  # a module of Keras that Keras 3 lacks
        return False


def _names_of_version_1(module: types.ModuleType, prefix: str = "") -> Iterator[str]:
    """All names below tf.compat.v1 that can be reached."""
    for last in _public(module):
        name = prefix + last
        here = found(f"compat.v1.{name}")
        if name in _OTHERS or here is _MISSING:
            continue
        yield name
        if isinstance(here, types.ModuleType) and _is_of_tensorflow(here):
            yield from _names_of_version_1(here, f"{name}.")


def _heads(name: str) -> list[str]:
    """The modules that a name lies in, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _takes_the_same(old: str, new: str) -> bool:
    """Whether what version 1 called `old` is called in the same way under its new name."""
    one, other = found(f"compat.v1.{old}"), found(new)
    if one is other:
        return True
    try:
        return callable(one) and inspect.signature(one) == inspect.signature(other)  # type: ignore
    except (TypeError, ValueError):
        return False


def table() -> dict[str, dict[str, str] | list[str]]:
    """The names that TensorFlow lacks, by what it has instead.

    What lies below a module of the table has the module's fate, if the table does not name it.
    """
    renames = {
        old.removeprefix("tf."): new.removeprefix("tf.").removeprefix("compat.v2.")
        for old, new in symbol_renames.items()
    }
    named = {*renames, *_names_of_version_1(tf.compat.v1)}
    named = {n for n in named if not n.startswith(_OTHERS) or n in ("flags", "app.flags")}
    named |= {"flags", *_FORGOTTEN} | {head for name in named for head in _heads(name)}
    fates: dict[str, tuple[str, str]] = {}
    for name in sorted(n for n in named if not has(n)):
        new = renames.get(name, f"compat.v1.{name}")
        fate = ("gone", "")
        if new == f"compat.v1.{name}" and has(new):
            fate = ("only_in_version_1", "")
        elif new != f"compat.v1.{name}" and has(new):
            fate = ("renamed" if _takes_the_same(name, new) else "changed", new)
        if not any(fates.get(head) == fate and not fate[1] for head in _heads(name)):
            fates[name] = fate
    return {
        "renamed": {name: new for name, (kind, new) in fates.items() if kind == "renamed"},
        "changed": {name: new for name, (kind, new) in fates.items() if kind == "changed"},
        "only_in_version_1": [n for n, (kind, _) in fates.items() if kind == "only_in_version_1"],
        "gone": [name for name, (kind, _) in fates.items() if kind == "gone"],
    }


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), json.dumps(table(), indent=1) + "\n")
