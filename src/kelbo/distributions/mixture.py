"""A mixture of distributions of one kind."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras
from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor, float32
from kelbo.seeds import distinct


class Mixture(Distribution):
    """p(z) = sum_k w_k p_k(z), the weights w = softmax(logits).

    Args:
        logits: (K,).
        parameters: of the components by name, the component first: (K, ...) each.
        components: parameters -> distribution; those of all K, or of chosen ones.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(
        self,
        logits: Tensor,
        parameters: Mapping[str, Tensor],
        components: Callable[[dict[str, Tensor]], Distribution],
        event_rank: int = 1,
    ):
        super().__init__(event_rank)
        self.logits = float32(logits)
        self.parameters = dict(parameters)
        self.components = components

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, *event) -> (S..., batch).

        Every value meets every component: S * batch * K densities at a time.
        """
        each = ops.expand_dims(float32(value), -(self.event_rank + 1))  # (S..., batch, 1, *event)
        log_probs = self.components(self.parameters).log_prob(each)
        return ops.logsumexp(log_probs + ops.log_softmax(self.logits), axis=-1)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Choose components and draw from each: (*sample_shape, *event).

        The draws are differentiable in the parameters of the components that are chosen, and not
        in the logits.
        """
        of_choice, of_draw = distinct(seed, 2)
        uniform = keras.random.uniform(
            (math.prod(sample_shape), 1), dtype="float32", seed=of_choice
        )
        below = uniform > ops.cumsum(ops.softmax(self.logits))[:-1]
        flat = ops.sum(ops.cast(below, "int32"), axis=-1)
        taken = {name: ops.take(value, flat, axis=0) for name, value in self.parameters.items()}
        draws = self.components(taken).sample(of_draw)
        return ops.reshape(draws, (*sample_shape, *ops.shape(draws)[1:]))

    def mean(self) -> Tensor:
        """The weighted mean of the components' means: (*event).

        Raises:
            UsageError: that of a component has no closed form.
        """
        means = self.components(self.parameters).mean()
        weights = ops.reshape(ops.softmax(self.logits), (-1, *[1] * self.event_rank))
        return ops.sum(weights * means, axis=0)

    def frozen(self) -> Self:
        """The same mixture, with every parameter behind `stop_gradient`."""
        frozen, components = super().frozen(), self.components
        # Components may hold more tensors than their parameters, such as the weights of a flow.
        frozen.components = lambda parameters: components(parameters).frozen()
        return frozen
