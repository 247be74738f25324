"""Load a model file without running anyone's code."""

import json
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

# Keras finds a class in a file only when it is registered, which importing it does.
from kelbo.ae import AE
from kelbo.errors import RunError
from kelbo.model import LatentVariableModel
from kelbo.networks import Conv2D, Conv2DTranspose, Dense
from kelbo.vae import VAE

__all__ = [
    "AE",
    "VAE",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "find_code",
    "load_model",
    "read_config",
    "reason_of",
]

# How an HDF5 file begins: Keras 2's .h5, or weights alone.
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Bytes; a network of a thousand layers has less than one MiB.
_LARGEST_CONFIG = 64 * 2**20
# Classes of Keras's that hold or fetch program code.
_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_SAVE_AGAIN = "Save the model again with model.save('model.keras')."


def load_model(path: str | Path) -> LatentVariableModel:
    """Load a .keras file that holds a model of kelbo, compiled if it was saved so.

    It may have been written on another backend. A file with a Lambda or another layer that holds or
    fetches code, or with a class that is neither Keras's nor kelbo's nor registered by the caller,
    is refused: it needs code to load. Keras's unsafe deserialisation changes nothing of that.

    Raises:
        RunError: there is no such file, it is damaged, it needs code, or it holds something else.
    """
    path = Path(path)
    config = read_config(path)
    needed = find_code(config)
    if needed is not None:
        raise RunError(
            f"{path} is refused: it needs {needed}. Replace it by a registered keras.Layer, or by "
            "a vocabulary that is given as a list, and save the model again."
        )
    try:
        with warnings.catch_warnings():
            # Keras would leave weights that the file lacks at their first random values.
            warnings.filterwarnings("error", message="Skipping nested container")
            model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # whatever the damage makes Keras stumble over
        reason = reason_of(error)
        if "Could not locate" in reason:
            raise RunError(
                f"{path} is refused: it needs code to load. {reason} kelbo.read_model reads the "
                "networks of a VAE without it."
            ) from error
        raise RunError(f"{path} is damaged ({reason[:300]}). {_SAVE_AGAIN}") from error
    if not isinstance(model, LatentVariableModel):
        raise RunError(
            f"{path} holds a {type(model).__name__}, expected a model of kelbo (VAE or AE)."
        )
    return model


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the model in a .keras file. Nothing of it is made or run.

    Raises:
        RunError: there is no such file, it is damaged, or it is of another kind.
    """
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
            described = archive.getinfo("config.json")
            if described.file_size > _LARGEST_CONFIG:
                raise ValueError(f"its configuration has {described.file_size} bytes")
            config = json.loads(archive.read(described))
        if not isinstance(config, dict):
            raise ValueError("its configuration is none")
    except RunError:
        raise
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, OSError) as error:
        raise RunError(
            f"{path} is damaged, or is no .keras file ({error}). {_SAVE_AGAIN}"
        ) from error
    return config


def reason_of(error: Exception) -> str:
    """What Keras has to say, without the whole configuration that it quotes before and after."""
    return str(error).rpartition("Exception encountered: ")[2].partition(" Full object")[0]


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
