"""What the likelihoods on [0, 1] share: one parameter for each pixel, a logit."""

from typing import Any

import keras
from keras import layers

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods.likelihood import Likelihood

# Layers that move values about and leave them as they are.
_MOVERS = (layers.Reshape, layers.Flatten, layers.Permute, layers.Cropping1D, layers.Cropping2D)


def ends_in_sigmoid(network: keras.Model) -> bool:
    """Whether the network's last step squashes to (0, 1), so that its output is no logit."""
    # A functional model lists plain operations, such as keras.ops.sigmoid, beside its layers.
    for step in reversed(getattr(network, "operations", network.layers)):
        if isinstance(step, keras.Model):
            return ends_in_sigmoid(step)
        if not isinstance(step, _MOVERS):
            activation = getattr(step, "activation", None)
            return activation is keras.activations.sigmoid or type(step).__name__ == "Sigmoid"
    return False


class LogitsLikelihood(Likelihood):
    """p(x|z) on [0, 1] whose network gives logits, never probabilities.

    Args:
        network: a keras.Model from z to logits of the datum's shape, without a sigmoid.

    Raises:
        UsageError: the network ends in a sigmoid, or its outputs do not fit.
    """

    support = (0.0, 1.0)

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
        if ends_in_sigmoid(network):
            raise UsageError(
                f"{type(self).__name__} expected logits, but the network {network.name!r} ends in "
                "a sigmoid, so its output is already a probability. Remove the sigmoid: kelbo "
                "computes the loss from logits, which is exact, and puts the sigmoid on "
                "vae.decoder itself."
            )

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The logits, (batch, *event)."""
        return {"logits": outputs[0]}
