"""Keras callbacks that work with any model of kelbo.

A callback of any origin may say `chunk_safe = True` in its class: its batch hooks may then come
once for a chunk of batches, with the number and the logs of the last, and `fit` need not leave the
device for their sake (see `kelbo.VAE.fit`, resident).
"""

from kelbo.callbacks.stop_on_non_finite import StopOnNonFinite
from kelbo.callbacks.watch import Watch

__all__ = ["StopOnNonFinite", "Watch"]
