"""Callbacks of a chunk, and which callbacks are content with it."""

from typing import Any

import keras
import numpy as np

from kelbo.backends.jax.forbidden import Forbidden
from kelbo.backends.jax.scan import Resident

TRAIN_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")


class ChunkCallbacks(keras.callbacks.CallbackList):
    """Callbacks that hear of batches where Keras tells of chunks.

    The scans are lent to the model only while its own loop runs, so that a callback may call
    `evaluate` between epochs.
    """

    def __init__(self, callbacks: Any, train: Resident, test: Resident | None, **kwargs: Any):
        self._train, self._test = train, test
        self._lent: dict[str, Any] = {}
        super().__init__(callbacks, **kwargs)

    def _lend(self, name: str, function: Resident) -> None:
        self._lent[name] = getattr(self.model, name)
        setattr(self.model, name, function)

    def give_back(self) -> None:
        """Give the model back its own functions."""
        while self._lent:
            setattr(self.model, *self._lent.popitem())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Lend the model the scan of its training."""
        super().on_epoch_begin(epoch, logs)
        self._lend("train_function", self._train)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The first batch of the chunk begins."""
        super().on_train_batch_begin(self._train.chunks.bounds[batch][0], logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """The last batch of the chunk has ended, or one whose loss is not finite."""
        first, end = self._train.chunks.bounds[batch]
        values = _of_every_step(logs)
        finite = np.all([np.isfinite(value) for value in values.values()], axis=0)
        last = {end - 1}
        if not np.all(finite):
            # The batch that went, and the one before it, are worth a call of their own.
            broken = first + int(np.argmin(finite))
            last |= {max(broken - 1, first), broken}
        for number in sorted(last):
            step_logs = {name: float(value[number - first]) for name, value in values.items()}
            super().on_train_batch_end(number, step_logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Lend the model the scan of its validation, if there is one."""
        self.give_back()
        super().on_test_begin(logs)
        if self._test is not None:
            self._lend("test_function", self._test)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The first batch of the chunk begins."""
        if self._test is not None:
            batch = self._test.chunks.bounds[batch][0]
        super().on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """The last batch of the chunk has ended."""
        if self._test is not None:
            batch = self._test.chunks.bounds[batch][1] - 1
            logs = {name: float(value[-1]) for name, value in _of_every_step(logs).items()}
        super().on_test_batch_end(batch, logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Take the scan back."""
        self.give_back()
        super().on_test_end(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the scan back, before the callbacks hear."""
        self.give_back()
        super().on_epoch_end(epoch, logs)


def _of_every_step(logs: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """The logs of a chunk, (steps,) each; waits for the chunk to end."""
    import jax

    # All at once: one by one each would be a wait of its own.
    return {name: np.concatenate(parts) for name, parts in jax.device_get(logs).items()}


def check_hooks(callbacks: list[Any], hooks: tuple[str, ...]) -> None:
    """Refuse callbacks that want to hear of every batch.

    Raises:
        Forbidden: there is one.
    """
    for callback in callbacks:
        own = [hook for hook in hooks if _overridden(callback, hook)]
        if own and not _is_chunk_safe(callback):
            raise Forbidden(
                f"the callback {type(callback).__name__} has {' and '.join(own)}, to be called "
                "for every batch (chunk_safe = True in its class lifts that, and so does "
                "compile(steps_per_execution=...), where batches come in groups anyway)"
            )


def _overridden(callback: Any, hook: str) -> bool:
    default = getattr(keras.callbacks.Callback, hook)
    return getattr(getattr(callback, hook), "__func__", None) is not default


def _is_chunk_safe(callback: Any) -> bool:
    """Whether the hooks of a callback may come once a chunk: Keras's own do not say so."""
    known = keras.callbacks
    if isinstance(callback, (known.ModelCheckpoint, known.BackupAndRestore)):
        return callback.save_freq == "epoch"
    if isinstance(callback, known.TensorBoard):
        return callback.update_freq == "epoch" and not getattr(callback, "_should_trace", True)
    if isinstance(callback, (known.ProgbarLogger, known.TerminateOnNaN)):
        return True
    return bool(getattr(callback, "chunk_safe", False))
