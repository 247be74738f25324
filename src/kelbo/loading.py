"""Load a model file without running anyone's code."""

import copy
import warnings
from pathlib import Path
from typing import Any

import keras

# Keras finds a class in a file only when it is registered, which importing it does.
from kelbo.ae import AE
from kelbo.errors import RunError, UsageError
from kelbo.model import LatentVariableModel
from kelbo.model_file import (
    SAVE_AGAIN,
    TooManyWeightsError,
    check_weights,
    find_class,
    find_code,
    open_weights,
    read_config,
    reason_of,
)
from kelbo.networks import Conv2D, Conv2DTranspose, Dense
from kelbo.vae import VAE

__all__ = ["AE", "VAE", "Conv2D", "Conv2DTranspose", "Dense", "load_model", "load_safely"]


def load_model(path: str | Path) -> LatentVariableModel:
    """Load a .keras file that holds a model of kelbo, compiled if it was saved so.

    It may have been written on another backend. What may run code is refused: see `load_safely`.

    Raises:
        RunError: as there, or it holds something else.
    """
    model = load_safely(path)
    if not isinstance(model, LatentVariableModel):
        raise RunError(
            f"{path} holds a {type(model).__name__}, expected a model of kelbo (VAE or AE). "
            "Other models of Keras are loaded with keras.saving.load_model."
        )
    return model


def load_safely(path: str | Path) -> keras.Model:
    """Load a .keras file that holds any model, without running anyone's code.

    A file with a Lambda or another layer that holds or
    fetches code, or with a class that is neither Keras's nor kelbo's nor registered by the caller,
    is refused: it needs code to load. Keras's unsafe deserialisation changes nothing of that. So is
    a file that declares more than it holds, before anything is made of it.

    Raises:
        RunError: there is no such file, it is damaged, it needs code, or it declares more than it
            holds.
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
        with open_weights(path) as (_, room):
            pass
        _check_weights(config, room)
        del config  # Keras reads it again
        with warnings.catch_warnings():
            # Keras would leave weights that the file lacks at their first random values.
            warnings.filterwarnings("error", message="Skipping nested container")
            return keras.saving.load_model(path, safe_mode=True)
    except TooManyWeightsError as error:
        raise RunError(f"{path} is refused: {error}. {SAVE_AGAIN}") from error
    except Exception as error:  # whatever the damage makes Keras stumble over
        refusal = _refusal(error)
        if refusal is not None:
            raise RunError(f"{path} is refused, as its model is: {refusal}") from error
        reason = reason_of(error)
        if "Could not locate" in reason:
            raise RunError(
                f"{path} is refused: it needs code to load. {reason} kelbo.read_model reads the "
                "networks of a VAE without it."
            ) from error
        raise RunError(f"{path} is damaged ({reason[:300]}). {SAVE_AGAIN}") from error


def _check_weights(config: dict[str, Any], room: int) -> None:
    """Check that the file has room for the weights, before Keras makes them.

    An optimiser has a few values for each weight, so that the weights say enough.
    """

    def make() -> None:
        # A copy, because Keras takes the configuration of a network apart.
        plain = copy.deepcopy({**config, "compile_config": None})
        keras.saving.deserialize_keras_object(plain, safe_mode=True)

    try:
        check_weights(make, room)
    except TooManyWeightsError:
        raise
    except Exception:
        # A class of the caller's may make a variable from a value, which has none here.
        if find_class(config) is None:
            raise


def _refusal(error: BaseException | None) -> UsageError | None:
    """What a class of kelbo has against the model, where Keras reports that."""
    while error is not None and not isinstance(error, UsageError):
        error = error.__cause__ or error.__context__
    return error
