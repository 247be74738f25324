"""The evidence lower bound, with a weight beta on the KL."""

import math
from numbers import Integral, Real
from typing import Any, Self

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.objective import Objective, elbo_terms
from kelbo.trace import Sizes, Trace

# Training steps that none reaches, at no common distance, so that a cycle shows.
_FAR_OUT = (2**30, 2**30 - 1, 2**30 - 7_919, 2**30 - 104_729, 2**30 - 1_299_709)


@keras.saving.register_keras_serializable("kelbo")
class LinearWarmup(LearningRateSchedule):
    """Beta rises linearly from 0 to `beta` over the first `steps` training steps, then stays.

    Bowman et al., "Generating sentences from a continuous space", 2016; Sonderby et al., "Ladder
    variational autoencoders", 2016.

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
        """Beta when `step` training steps have been taken, the present one included."""
        progress = ops.cast(step, "float32") / float(self.steps)
        return self.beta * ops.minimum(progress, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"steps": self.steps, "beta": self.beta}


@keras.saving.register_keras_serializable("kelbo")
class ELBO(Objective):
    """loss = -E_q[log p(x|z)] + beta KL(q(z|x) || p(z)), in nats, summed over all dimensions.

    With beta = 1 the loss is minus the ELBO (Kingma and Welling 2014, equation 3). Other values
    are the beta-VAE's (Higgins et al., "beta-VAE", 2017, equation 4).

    Args:
        beta: the weight of the KL, a number >= 0, or a Keras learning-rate schedule of the
            training step that settles, such as `LinearWarmup`. Of one that never settles the
            effective beta means nothing; `current_beta` still does.

    Raises:
        UsageError: beta is neither.
    """

    def __init__(self, beta: float | LearningRateSchedule = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scheduled = isinstance(beta, LearningRateSchedule)
        if not isinstance(beta, LearningRateSchedule):
            check_weight(beta, "beta", " or a schedule")
            beta = float(beta)
        self.beta = beta
        self.logged = ("elbo", "reconstruction", "kl") + (("beta",) if self.scheduled else ())

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss, elbo, reconstruction and kl, each (batch,); with a schedule beta, a scalar."""
        terms = elbo_terms(trace)
        if not isinstance(self.beta, LearningRateSchedule):
            return {"loss": self.beta * terms["kl"] - terms["reconstruction"], **terms}
        beta = ops.cast(self.beta(trace.step), "float32")
        return {"loss": beta * terms["kl"] - terms["reconstruction"], "beta": beta, **terms}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """Beta; with a schedule, its value at the step, or where it ends.

        Of a schedule that never settles the end means nothing: see `settles`.
        """
        # A schedule is a function of the step alone; far out it has its final value.
        return self._beta_at(_FAR_OUT[0] if step is None else step)

    @property
    def settles(self) -> bool:
        """Whether beta stays the same from some training step on, as that of a cycle does not."""
        far = [self._beta_at(step) for step in _FAR_OUT]
        # One that decays as 1 / step is not constant to the last digit, and settles all the same.
        return max(far) - min(far) <= 1e-3 * max(*far, self._beta_at(1))

    def _beta_at(self, step: Any) -> float:
        if not isinstance(self.beta, LearningRateSchedule):
            return self.beta
        return float(ops.convert_to_numpy(self.beta(ops.convert_to_tensor(step, "int32"))))

    def get_config(self) -> dict[str, Any]:
        """Beta and the layer's own settings."""
        beta = keras.saving.serialize_keras_object(self.beta) if self.scheduled else self.beta
        return {**super().get_config(), "beta": beta}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        return cls(**{**config, "beta": keras.saving.deserialize_keras_object(config["beta"])})


def check_weight(weight: Any, name: str, otherwise: str = "") -> None:
    """Refuse what is no weight of the KL.

    Args:
        weight: of the KL.
        name: of the argument.
        otherwise: what it may be besides, such as " or a schedule".

    Raises:
        UsageError: it is no finite number >= 0.
    """
    number = isinstance(weight, Real) and not isinstance(weight, bool)
    if not (number and 0.0 <= float(weight) < math.inf):
        raise UsageError(
            f"{name}, the weight of the KL, is expected to be a finite number >= 0{otherwise}, "
            f"received {weight!r}."
        )
