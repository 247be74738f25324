"""The warm-up of beta, counted in epochs until the data and the batch size are known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kelbo.presets.option import Option

if TYPE_CHECKING:
    from kelbo.objectives import LinearWarmup

EPOCHS = Option(
    "warmup_epochs", float, 0.0, "Let beta rise from 0 over the first so many epochs.", minimum=0.0
)


@dataclass(frozen=True)
class Warmup:
    """Beta rises linearly from 0 to `beta` over the first `epochs` epochs, then stays."""

    epochs: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        EPOCHS.check(self.epochs)

    def schedule(self, count: int, batch_size: int) -> "LinearWarmup":
        """The schedule in training steps.

        Args:
            count: training data.
            batch_size: data in a step; the last one of an epoch may have fewer.
        """
        from kelbo.objectives import LinearWarmup

        steps_in_epoch = math.ceil(count / batch_size)
        return LinearWarmup(max(1, round(self.epochs * steps_in_epoch)), self.beta)


def with_warmup(options: Mapping[str, Any], count: int, batch_size: int) -> dict[str, Any]:
    """The options of a model with beta as a schedule, where they ask for a warm-up.

    Args:
        options: of a model, all of them.
        count: as in `Warmup.schedule`.
        batch_size: likewise.
    """
    options = dict(options)
    if epochs := options.pop(EPOCHS.name, 0.0):
        options["beta"] = Warmup(epochs, options["beta"])
    beta = options.get("beta")
    if isinstance(beta, Warmup):
        options["beta"] = beta.schedule(count, batch_size)
    return options
