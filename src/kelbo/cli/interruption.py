"""Ctrl-C during a training, even where a library swallows it."""

import signal
from types import FrameType
from typing import Any, Self

import keras


class HeedCtrlC(keras.callbacks.Callback):
    """Stop at the end of a batch if Ctrl-C was pressed and its exception got lost on the way.

    Keras and JAX have bare `except:` clauses (in saving and in tracing, for instance). A
    KeyboardInterrupt that happens to be raised inside one of them vanishes, and the training runs
    on. So this callback remembers that Ctrl-C was pressed. Use it as a context around `fit`, and as
    one of its callbacks.

    Raises:
        KeyboardInterrupt: from the end of the first batch after the press.
    """

    chunk_safe = True

    def __enter__(self) -> Self:
        """Listen to the signal, unless somebody else does or it is ignored, as under nohup."""
        self.pressed = False
        self.listening = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.listening:
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signal back."""
        if self.listening:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raise the exception that got lost."""
        if self.pressed:
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raise the exception that got lost."""
        if self.pressed:
            raise KeyboardInterrupt

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        signal.default_int_handler(number, frame)
