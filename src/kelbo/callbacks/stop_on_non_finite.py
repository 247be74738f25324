"""Stop a training at the first batch whose loss is not finite, and say which term went first."""

import math
from typing import Any

import keras

from kelbo.errors import DivergedError

# In this order: the KL overflows before anything else does, because it has exp(log_var) in it.
_TERMS = ("kl", "reconstruction")

_CAUSES = {
    "kl": (
        "exp(log_var) or mu^2 overflowed. Lower the learning rate, clip the gradients "
        "(keras.optimizers.Adam(clipnorm=1.0)), or warm the KL up."
    ),
    "reconstruction": (
        "log p(x|z) is not finite: the decoder's output overflowed, or a learned variance went to "
        "zero. Lower the learning rate, clip the gradients (keras.optimizers.Adam(clipnorm=1.0)), "
        "or fix the variance."
    ),
}


class StopOnNonFinite(keras.callbacks.Callback):
    """Raise at the first batch after which a reported term is NaN or infinite.

    `kelbo.VAE.fit` always adds it. Keras reports running means over the epoch, which stay finite
    exactly until the first batch whose term is not. With `steps_per_execution` above 1 the batch
    named is the last of its group, unless the data stay on the device (`fit`'s `resident`): there
    it is the batch itself.

    Raises:
        DivergedError: from `on_train_batch_end`; names the batch and the term.
    """

    chunk_safe = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch, counted from 1 for the reader, and that all was well."""
        self.epoch = epoch + 1
        self.before: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Check every reported term."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        if not bad:
            self.before = logs
            return
        first = [name for name in _TERMS if name in bad]
        message = f"The loss became {logs.get('loss', math.nan)} in batch {batch + 1} of epoch "
        message += f"{self.epoch}. "
        if len(first) == 1:
            others = [name for name in _TERMS if name in logs and name not in bad]
            still = f", while {others[0]} was still finite" if others else ""
            message += f"The first term to go was {first[0]}{still}: {_CAUSES[first[0]]}"
        elif not first or (not self.before and self.epoch == 1):
            message += (
                f"{' and '.join(first or bad)} went at once, and no update came before that could "
                "have done it: look at the data, the sample weights and the initial weights."
            )
        elif all(math.isnan(logs[name]) for name in first):
            message += (
                f"{' and '.join(first)} went in the same batch: a weight of the encoder was "
                "already NaN, so the update before it overflowed. Lower the learning rate or clip "
                "the gradients (keras.optimizers.Adam(clipnorm=1.0))."
            )
        else:
            message += f"The first term to go was {first[0]}: {_CAUSES[first[0]]}"
        if self.before:
            means = ", ".join(f"{name} {value:.4g}" for name, value in self.before.items())
            message += f" Means until then: {means}."
        raise DivergedError(message)
