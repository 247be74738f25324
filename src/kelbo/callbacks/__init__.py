"""Keras callbacks that work with any model of kelbo."""

from kelbo.callbacks.stop_on_non_finite import StopOnNonFinite

__all__ = ["StopOnNonFinite"]
