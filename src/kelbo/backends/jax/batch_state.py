"""Steps of Keras's loop on JAX that leave the model whole when a batch fails.

While the loop runs, Keras takes the weights out of the model and hands them from step to step. An
error in the data or in the step, or a batch that the devices cannot share, would leave the model
without any.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from kelbo.backends.jax.devices import explained

# The parts of the state that the loop hands to a step, in their order.
TRAIN = (
    "trainable_variables",
    "non_trainable_variables",
    "optimizer_variables",
    "metrics_variables",
)
TEST = ("trainable_variables", "non_trainable_variables", "metrics_variables")
PREDICT = ("trainable_variables", "non_trainable_variables")


class WholeStep:
    """A step that gives the model its state back before an error goes on.

    Args:
        model: whose state it is.
        function: the step or steps, as Keras makes it: (state, batches) -> (logs, state).
        parts: the names of the parts of the state.
    """

    def __init__(self, model: keras.Model, function: Callable[..., Any], parts: tuple[str, ...]):
        self._model = model
        self._function = function
        self._parts = parts

    def __call__(self, state: Any, iterator: Iterator[Any]) -> tuple[Any, Any]:
        """Take one step, or as many as `compile(steps_per_execution=...)` says."""
        batches = _Batches(iterator)
        try:
            logs, state = self._function(state, batches)
        except StopIteration:
            if batches.error is None:
                raise
        except BaseException:
            # What fails while it is traced leaves the state as it was; what fails later may have
            # taken it.
            if not any(array.is_deleted() for array in keras.tree.flatten(state)):
                self._give_back(state)
            raise
        if batches.error is not None:
            self._give_back(state)
            raise batches.error
        return logs, state

    def _give_back(self, state: Any) -> None:
        self._model._jax_state = dict(zip(self._parts, state, strict=True))
        self._model._jax_state_synced = False
        self._model.jax_state_sync()
        self._model._jax_state = None


class _Batches:
    """Batches that end where one cannot be read, so that the steps before it count."""

    def __init__(self, iterator: Iterator[Any]):
        self._iterator = iterator
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException as error:  # Ctrl-C too
            self.error = explained(error)
            raise StopIteration from None
