"""Keras callbacks that work with any model of kelbo.

A callback of any origin may say `chunk_safe = True` in its class: its batch hooks may then come
once for a chunk of batches, with the number and the logs of the last, and `fit` need not leave the
device for their sake (see `kelbo.VAE.fit`, resident).
"""

import importlib
from typing import Any

import keras

from kelbo.callbacks.stop_on_non_finite import StopOnNonFinite

__all__ = ["StopOnNonFinite", "Watch", "with_callback"]


def __getattr__(name: str) -> Any:
    # Watch is of the clinic, which the models, importing this package, never load.
    if name == "Watch":
        return importlib.import_module("kelbo.clinic.watch").Watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def with_callback(callbacks: Any, callback: keras.callbacks.Callback) -> Any:
    """What `fit` takes as callbacks, with one more; a CallbackList that has its kind stays."""
    if callbacks is None:
        return [callback]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(known, type(callback)) for known in callbacks.callbacks):
            callbacks.callbacks.append(callback)
        return callbacks
    return [*callbacks, callback] if isinstance(callbacks, (list, tuple)) else [callbacks, callback]
