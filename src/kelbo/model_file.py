"""A .keras file: what it declares, checked against what it holds before any of it is made.

It is an archive of a configuration, which says what layers there are, and of an HDF5 file with
their weights. Both can declare more than any machine holds, in a few kilobytes.
"""

import contextlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.backend.common import global_state

from kelbo.errors import RunError
from kelbo.model_config import DEEPEST, check_config
from kelbo.unpacking import UNREADABLE, check_entries

WEIGHTS = "model.weights.h5"
SAVE_AGAIN = "Ask for it anew from whoever saved it, with model.save('model.keras')."

# How an HDF5 file begins: Keras 2's .h5, or weights alone.
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Keras packs nothing. Where somebody packed the file, weights took 0.9 of their size, with an
# optimiser's first moments a third, and with 95% of them pruned one 13th.
_EXPANSION = 20
# Bytes, of which 300 layers have 300,000. Parsed, text takes up to thirty times as much memory.
_LARGEST_CONFIG = 8 * 2**20
# Lists and dictionaries in the configuration, of which 300 layers have 5,400; and groups and data
# sets of weights, of which a layer has eight with an optimiser's.
_MOST_PARTS = 2**16
# Classes of Keras's that hold or fetch program code.
_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


class TooManyWeightsError(ValueError):
    """A configuration describes more weights than its file has room for."""


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the model in a .keras file. Nothing of it is made or run.

    Raises:
        RunError: there is no such file, it is damaged, it is of another kind, or it declares more
            than it can hold.
    """
    if path.is_dir():
        raise RunError(
            f"{path} is a folder, expected a model file, such as {path / 'model.keras'}."
        )
    if not path.is_file():
        raise RunError(f"There is no model file {path}.")
    try:
        with path.open("rb") as file:
            if file.read(len(_HDF5)) == _HDF5:
                raise RunError(
                    f"{path} is an HDF5 file, expected a .keras file. Load it in the program that "
                    "made it, and save it with model.save('model.keras')."
                )
        with zipfile.ZipFile(path) as archive:
            check_entries(archive, path.stat().st_size, _EXPANSION)
            described = archive.getinfo("config.json")
            if described.file_size > _LARGEST_CONFIG:
                raise ValueError(
                    f"its configuration has {described.file_size:,} bytes, expected at most "
                    f"{_LARGEST_CONFIG:,}"
                )
            text = archive.read(described)
        parts = text.count(b"{") + text.count(b"[")
        if parts > _MOST_PARTS:
            raise ValueError(
                f"its configuration has {parts:,} parts, expected at most {_MOST_PARTS:,}"
            )
        config = json.loads(text)
        if not isinstance(config, dict):
            raise ValueError("its configuration is none")
        check_config(config)
    except RunError:
        raise
    except UNREADABLE as error:
        raise RunError(
            f"{path} is damaged, or is no .keras file ({error}). {SAVE_AGAIN}"
        ) from error
    return config


@contextlib.contextmanager
def open_weights(path: Path) -> Iterator[tuple[h5py.File, int]]:
    """The HDF5 file of the weights in a .keras file, and its size in bytes.

    No weight in it takes more than the file holds.

    Raises:
        ValueError: they declare more than the file holds, are packed, or lie in other files.
        The others of `kelbo.unpacking.UNREADABLE`: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS not in archive.namelist():
            raise ValueError(f"it has no {WEIGHTS}")
        # In memory, as Keras does it too: in an archive each step back begins at the start again.
        content = archive.read(WEIGHTS)
    with h5py.File(io.BytesIO(content), "r") as weights:
        _check_content(weights, len(content))
        yield weights, len(content)


def check_weights(make: Callable[[], Any], most: int) -> None:
    """Check that a model has no more weights than its file has room for, before they are made.

    The model is made once with weights that have shapes and no values.

    Args:
        make: makes the model, not compiled.
        most: the bytes of its weights in the file.

    Raises:
        TooManyWeightsError: the model has more.
        Whatever `make` raises.
    """
    # Keras notes here which variables are to get their values at the end of the next scope.
    pending = global_state.get_global_attribute("uninitialized_variables")
    variables: list[keras.Variable] = []
    global_state.set_global_attribute("uninitialized_variables", variables)
    try:
        with keras.StatelessScope(initialize_variables=False):
            make()
    except Exception:
        # Weights of such a size can be what it stumbled over.
        _check_count(variables, most)
        raise
    finally:
        global_state.set_global_attribute("uninitialized_variables", pending or [])
    _check_count(variables, most)


def find_code(config: Any) -> str | None:
    """What Keras would run or fetch for a configuration, in whatever mode it is, or None.

    It is the code of a Lambda or of another layer that wraps a program, or a vocabulary that is
    given by its path or address.
    """
    rest = [config]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            name, vocabulary = value.get("class_name"), value.get("vocabulary")
            if name in _CODE:
                return f"the code of a {name.strip('_')}, which is not run"
            if isinstance(vocabulary, str):
                return f"the vocabulary {vocabulary!r}, which is not read"
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return None


def find_class(config: Any) -> str | None:
    """The first class or function in a configuration that is not one of Keras's or of kelbo's.

    Whether this process knows the class does not count, so that a file is read alike everywhere.
    """
    if isinstance(config, list):
        return next((code for value in config if (code := find_class(value))), None)
    if not isinstance(config, dict):
        return None
    name, registered = config.get("class_name"), str(config.get("registered_name"))
    if name == "function":
        # Keras looks up a function by its name, whatever it is registered as.
        name = registered = str(config.get("config"))
    # Keras would import some modules by their names in the file, and take what anybody registers.
    package = str(config.get("module")).partition(".")[0]
    of_keras = package in ("builtins", "keras") and ">" not in registered
    # A class of the program that was run has no module, but a name that it is registered by.
    of_keras |= package == "None" and config.get("registered_name") is None
    of_kelbo = registered.startswith("kelbo>") and keras.saving.get_registered_object(registered)
    if of_keras or of_kelbo:
        return find_class(list(config.values()))
    kind = "function" if config.get("class_name") == "function" else "class"
    return f"the code of the {kind} {name}, which is not in the file"


def reason_of(error: Exception) -> str:
    """What Keras has to say, without the whole configuration that it quotes before and after."""
    return str(error).rpartition("Exception encountered: ")[2].partition(" Full object")[0]


def _check_content(file: h5py.File, held: int) -> None:
    """Check that the data sets of an HDF5 file are plain, and no more than the file holds.

    A data set in pieces can be packed, and then nothing in the file says how far it unpacks.
    """
    found = declared = 0

    def check(name: str, item: h5py.HLObject) -> None:
        nonlocal found, declared
        found += 1
        if found > _MOST_PARTS:
            raise ValueError(f"its weights have more than {_MOST_PARTS:,} parts")
        if name.count("/") > DEEPEST:
            raise ValueError(f"its weights are nested more than {DEEPEST} levels deep")
        for key in item.attrs:
            # Each of several texts could be the same one, which the file holds once.
            if item.attrs.get_id(key).dtype.hasobject and item.attrs.get_id(key).shape:
                raise ValueError(f"its weights {name!r} have a list of texts as {key!r}")
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual:
            raise ValueError(f"its weights {name!r} lie in another file, which is not read")
        if item.chunks is not None:
            raise ValueError(f"its weights {name!r} are in pieces, expected in one, as Keras does")
        if item.dtype.hasobject:
            raise ValueError(f"its weights {name!r} are no numbers")
        declared += math.prod(item.shape or ()) * item.dtype.itemsize

    check("/", file)
    file.visititems(check)
    if declared > held:
        raise ValueError(
            f"its weights declare {declared:,} bytes, and {WEIGHTS} holds {held:,} bytes"
        )


def _check_count(variables: list[keras.Variable], most: int) -> None:
    if sum(math.prod(variable.shape) * _bits(variable.dtype) for variable in variables) > 8 * most:
        count = sum(math.prod(variable.shape) for variable in variables)
        largest = max(variables, key=lambda variable: math.prod(variable.shape))
        raise TooManyWeightsError(
            f"its configuration describes {count:,} weights, the most of them as {largest.path} of "
            f"shape {largest.shape}, and its {WEIGHTS} of {most:,} bytes has no room for them"
        )


def _bits(dtype: str) -> int:
    """How many bits a value takes, as 16 of a "bfloat16"; Keras stores weights as they are."""
    digits = re.search(r"\d+", dtype)
    return int(digits.group()) if digits else 8
