"""A pass on JAX as one call of the model, as it is on the other backends.

Keras's trainer calls `call` itself there. Each network in it is then called as if it stood alone,
and forgets at its second call what it added to the loss at its first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.layers.layer import CallContext

# Where Keras keeps the outermost layer that is being called.
_CONTEXT = "current_call_ctx"


class OneCall:
    """For a keras.Model to inherit from; elsewhere than on JAX it changes nothing."""

    def stateless_call(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs, the new state and the losses, as `keras.Layer.stateless_call`."""
        with _entered(self):
            return super().stateless_call(*args, **kwargs)  # type: ignore[misc]


@contextmanager
def _entered(model: Any) -> Iterator[None]:
    """Let the model be the layer that is being called, as Keras's `__call__` does."""
    if keras.backend.backend() != "jax" or global_state.get_global_attribute(_CONTEXT) is not None:
        yield
        return
    global_state.set_global_attribute(_CONTEXT, CallContext(entry_layer=model))
    model._clear_losses()
    try:
        yield
    finally:
        global_state.set_global_attribute(_CONTEXT, None)
