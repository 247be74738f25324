"""The contract of an objective: what is minimised, and what is logged."""

import abc
from typing import TYPE_CHECKING, Any, Self

from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.trace import Trace

if TYPE_CHECKING:
    from kelbo.model import LatentVariableModel


class Objective(abc.ABC):
    """Computes the loss of a model from a trace alone.

    Attributes:
        logged: the names of the terms that training reports, fixed at construction, because Keras
            does not accept a metric that first appears during a training step.
        sample_shape: sample axes of z that it wants in the trace.
        scheduled: whether a term depends on the number of training steps taken.
    """

    logged: tuple[str, ...]
    sample_shape: tuple[int, ...] = ()
    scheduled: bool = False

    @abc.abstractmethod
    def terms(self, trace: Trace, model: "LatentVariableModel") -> dict[str, Tensor]:
        """The terms of each datum: {"loss": (batch,), ...}, a (batch,) or scalar for every name.

        `loss` is minimised. `elbo`, where there is one, is the bound on log p(x) in nats, whatever
        the loss is.
        """

    @abc.abstractmethod
    def effective_beta(self, model: "LatentVariableModel") -> float | None:
        """The final weight of the KL against the ELBO's, or None where there is no KL."""

    def current_beta(self, model: "LatentVariableModel") -> float | None:
        """The effective beta after the training steps that the model has taken so far."""
        return self.effective_beta(model)

    def in_words(self) -> str:
        """What it is called where a training begins; empty for the ELBO, which all expect."""
        return ""

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        return cls(**config)


def mean_over_samples(tensor: Tensor) -> Tensor:
    """The mean over the sample axes: (S..., batch) -> (batch,)."""
    sample_axes = tuple(range(len(tensor.shape) - 1))
    return ops.mean(tensor, axis=sample_axes) if sample_axes else tensor


def elbo_terms(trace: Trace) -> dict[str, Tensor]:
    """The ELBO and its two parts in nats, each (batch,): elbo = reconstruction - kl.

    `reconstruction` is E_q[log p(x|z)], estimated with the trace's samples.

    Raises:
        ValueError: the trace has no KL.
    """
    if trace.kl is None:
        raise ValueError("The trace of an autoencoder has no KL, so it has no ELBO.")
    reconstruction = mean_over_samples(trace.log_px_z)
    kl = mean_over_samples(trace.kl)
    return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
