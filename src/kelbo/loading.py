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
from kelbo.networks import Conv2DTranspose
from kelbo.vae import VAE

__all__ = ["AE", "VAE", "Conv2DTranspose", "load_model", "read_config", "reason_of"]

# How an HDF5 file begins: Keras 2's .h5, or weights alone.
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SAVE_AGAIN = "Save the model again with model.save('model.keras')."


def load_model(path: str | Path) -> LatentVariableModel:
    """Load a .keras file that holds a model of kelbo, compiled if it was saved so.

    It may have been written on another backend. A file with a Lambda layer, or with a class that is
    neither Keras's nor kelbo's nor registered by the caller, is refused: it needs code to load.

    Raises:
        RunError: there is no such file, it is damaged, it needs code, or it holds something else.
    """
    path = Path(path)
    config = read_config(path)
    if _has_lambda(config):
        raise RunError(
            f"{path} is refused: it has a Lambda layer, which is program code inside the file. "
            "Replace the Lambda by a registered keras.Layer and save the model again."
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
            config = json.loads(archive.read("config.json"))
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


def _has_lambda(config: Any) -> bool:
    """Whether a Lambda layer or a serialised Python lambda is anywhere in a configuration."""
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        return any(_has_lambda(value) for value in config.values())
    return isinstance(config, list) and any(_has_lambda(value) for value in config)
