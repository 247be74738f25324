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

__all__ = ["AE", "VAE", "Conv2DTranspose", "load_model"]


def load_model(path: str | Path) -> LatentVariableModel:
    """Load a .keras file that holds a model of kelbo, compiled if it was saved so.

    It may have been written on another backend. A file with a Lambda layer, or with a class that is
    neither Keras's nor kelbo's nor registered by the caller, is refused: it needs code to load.

    Raises:
        RunError: there is no such file, it is damaged, it needs code, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"There is no model file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, OSError) as error:
        raise RunError(f"{path} is damaged, or is no .keras file ({error}).") from error
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
        # Keras quotes the whole configuration before and after what it has to say.
        reason = str(error).rpartition("Exception encountered: ")[2].partition(" Full object")[0]
        if "Could not locate" in reason:
            raise RunError(f"{path} is refused: it needs code to load. {reason}") from error
        raise RunError(f"{path} is damaged ({reason[:300]}).") from error
    if not isinstance(model, LatentVariableModel):
        raise RunError(
            f"{path} holds a {type(model).__name__}, expected a model of kelbo (VAE or AE)."
        )
    return model


def _has_lambda(config: Any) -> bool:
    """Whether a Lambda layer or a serialised Python lambda is anywhere in a configuration."""
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        return any(_has_lambda(value) for value in config.values())
    return isinstance(config, list) and any(_has_lambda(value) for value in config)
