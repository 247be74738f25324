"""The meanings that a decoder's outputs may have in a model that is not kelbo's."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kelbo.clinic.anatomy.last_step import ends_in_sigmoid
from kelbo.clinic.anatomy.roles import TO_LOG_VAR
from kelbo.distributions import Bernoulli, Normal
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.support import REAL, UNIT_INTERVAL, Support

# Keras clips the probabilities in a cross-entropy to this.
_SMALLEST_PROBABILITY = 1e-7
PROBABILITIES = "Bernoulli from probabilities"
LOGITS = "Bernoulli from logits"
GAUSSIAN = "Gaussian of variance 1"


def likelihoods_of(decoder: keras.Layer) -> dict[str, Callable[[Any], Distribution]]:
    """The meanings that a decoder's outputs may have: name -> from the outputs to p(x|z)."""
    two = len(getattr(decoder, "outputs", None) or ()) == 2
    return _OF_TWO_OUTPUTS if two else OF_ONE_OUTPUT


def supports_of(decoder: keras.Layer) -> dict[str, Support]:
    """Where x may lie, for each meaning of a decoder's outputs."""
    if likelihoods_of(decoder) is _OF_TWO_OUTPUTS:
        return dict.fromkeys(_OF_TWO_OUTPUTS, REAL)
    # A sigmoid gives no other value, whatever the loss is.
    squared = UNIT_INTERVAL if _is_sigmoid(decoder) else REAL
    return {PROBABILITIES: UNIT_INTERVAL, LOGITS: UNIT_INTERVAL, GAUSSIAN: squared}


def _from_probabilities(outputs: Tensor) -> Distribution:
    p = ops.clip(outputs, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return Bernoulli(ops.log(p) - ops.log1p(-p), len(p.shape) - 1)


def _normal(outputs: Any, to_log_var: str) -> Distribution:
    mean, second = keras.tree.flatten(outputs)
    return Normal(mean, TO_LOG_VAR[to_log_var](second), len(mean.shape) - 1)


def _is_sigmoid(decoder: keras.Layer) -> bool:
    return isinstance(decoder, keras.Model) and ends_in_sigmoid(decoder)


# The meanings of two outputs.
_OF_TWO_OUTPUTS: dict[str, Callable[[Any], Distribution]] = {
    "Gaussian of mean and log_var": lambda outputs: _normal(outputs, "log_var"),
    "Gaussian of mean and log sigma": lambda outputs: _normal(outputs, "log_sigma"),
}
# The meanings of one output.
OF_ONE_OUTPUT: dict[str, Callable[[Any], Distribution]] = {
    PROBABILITIES: _from_probabilities,
    LOGITS: lambda outputs: Bernoulli(outputs, len(outputs.shape) - 1),
    GAUSSIAN: lambda outputs: Normal(outputs, ops.zeros_like(outputs), len(outputs.shape) - 1),
}
