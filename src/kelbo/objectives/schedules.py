"""Schedules of a weight: it rises from 0 to its final value over training steps, then stays.

Each is a Keras schedule of the number of training steps taken, the present one included, and can
stand wherever an objective takes a weight: for the beta of the KL, and as well for a capacity or
for free bits, whose final value `beta` is then a number of nats.
"""

import math
from numbers import Integral
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.weight import check_weight


class Warmup(LearningRateSchedule):
    """Rises from 0 to `beta`; how, a subclass says of the progress from 0 to 1.

    Args:
        steps: the length of the rise in training steps (batches).
        beta: the final value.

    Raises:
        UsageError: `steps` < 1 or `beta` is no weight.
    """

    def __init__(self, steps: int, beta: float = 1.0):
        if not isinstance(steps, Integral) or steps < 1:
            raise UsageError(
                f"A warm-up expected a whole number of steps >= 1, received {steps!r}."
            )
        check_weight(beta, "beta")
        self.steps: int = int(steps)
        self.beta: float = float(beta)

    def __call__(self, step: Tensor) -> Tensor:
        """The weight when `step` training steps have been taken, the present one included."""
        return self.beta * self.share(self.progress(step))

    def progress(self, step: Tensor) -> Tensor:
        """How far the rise has come, from 0 to 1."""
        return ops.minimum(ops.cast(step, "float32") / float(self.steps), 1.0)

    def share(self, progress: Tensor) -> Tensor:
        """The share of the final value: 0 where progress is 0, and 1 where it is 1."""
        return progress

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"steps": self.steps, "beta": self.beta}


@keras.saving.register_keras_serializable("kelbo")
class LinearWarmup(Warmup):
    """Rises linearly from 0 to `beta` over the first `steps` training steps, then stays.

    Bowman et al., "Generating sentences from a continuous space", 2016; Sonderby et al., "Ladder
    variational autoencoders", 2016.

    Args:
        steps: the length of the rise in training steps (batches).
        beta: the final value.

    Raises:
        UsageError: `steps` < 1 or `beta` is no weight.
    """


@keras.saving.register_keras_serializable("kelbo")
class CosineWarmup(Warmup):
    """Rises as beta (1 - cos(pi t)) / 2, with t from 0 to 1 in `steps` training steps.

    It is slow at both ends (used so by Fu et al., "Cyclical annealing schedule", 2019).

    Args:
        steps: the length of the rise in training steps (batches).
        beta: the final value.

    Raises:
        UsageError: `steps` < 1 or `beta` is no weight.
    """

    def share(self, progress: Tensor) -> Tensor:
        """(1 - cos(pi t)) / 2."""
        return 0.5 * (1.0 - ops.cos(math.pi * progress))


@keras.saving.register_keras_serializable("kelbo")
class SigmoidWarmup(Warmup):
    """Rises as a logistic curve, which crosses beta / 2 after half of `steps` training steps.

    With t from 0 to 1 the share is sigmoid(k (t - 1/2)), shifted and scaled so that it begins at 0
    and ends at 1 (Bowman et al., "Generating sentences from a continuous space", 2016, section 3.1,
    whose curve is not shifted).

    Args:
        steps: the length of the rise in training steps (batches).
        beta: the final value.
        steepness: k > 0, up to 60; the larger, the more it is a jump.

    Raises:
        UsageError: `steps` < 1, `beta` is no weight, or `steepness` is not above 0.
    """

    def __init__(self, steps: int, beta: float = 1.0, steepness: float = 10.0):
        super().__init__(steps, beta)
        check_weight(steepness, "steepness")
        if not 0.0 < steepness <= 60.0:
            raise UsageError(f"Expected a steepness above 0 and up to 60, received {steepness!r}.")
        self.steepness = float(steepness)

    def share(self, progress: Tensor) -> Tensor:
        """The shifted logistic curve: tanh is sigmoid with its middle at 0."""
        middle = 0.25 * self.steepness
        return 0.5 + 0.5 * ops.tanh(middle * (2.0 * progress - 1.0)) / math.tanh(middle)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "steepness": self.steepness}


@keras.saving.register_keras_serializable("kelbo")
class CyclicalWarmup(Warmup):
    """Several linear rises: in each of M cycles from 0 to `beta`, where it stays until the next.

    Fu et al., "Cyclical annealing schedule: a simple approach to mitigating KL vanishing", 2019,
    equations 6 and 7. After the last cycle it stays at `beta`.

    Args:
        steps: the length of all cycles together, in training steps (batches).
        beta: the value at the end of each cycle.
        cycles: M.
        rise: R, the share of a cycle in which it rises, above 0 and up to 1.

    Raises:
        UsageError: `steps` < `cycles`, `beta` is no weight, or `rise` is no such share.
    """

    def __init__(self, steps: int, beta: float = 1.0, cycles: int = 4, rise: float = 0.5):
        super().__init__(steps, beta)
        if not isinstance(cycles, Integral) or not 1 <= cycles <= steps:
            raise UsageError(
                f"Expected a whole number of cycles from 1 to the {steps} steps, received "
                f"{cycles!r}."
            )
        if cycles * steps >= 2**31:
            raise UsageError(f"Expected cycles times steps below 2^31, received {cycles * steps}.")
        check_weight(rise, "rise")
        if not 0.0 < rise <= 1.0:
            raise UsageError(f"Expected a rise above 0 and up to 1, received {rise!r}.")
        self.cycles: int = int(cycles)
        self.rise: float = float(rise)

    def progress(self, step: Tensor) -> Tensor:
        """How far the rise of the present cycle has come, from 0 to 1."""
        # In whole numbers: a share of a large step would lose the digits that tell steps apart.
        step = ops.cast(step, "int32")
        begun = ops.floor_divide(ops.minimum(step, self.steps) * self.cycles, self.steps)
        within = ops.cast(step - ops.floor_divide(begun * self.steps, self.cycles), "float32")
        risen = within / (self.rise * self.steps / self.cycles)
        return ops.where(step >= self.steps, 1.0, ops.clip(risen, 0.0, 1.0))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "cycles": self.cycles, "rise": self.rise}
