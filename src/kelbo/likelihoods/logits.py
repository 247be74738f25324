"""What the likelihoods on [0, 1] share: one parameter for each pixel, a logit."""

from typing import Any

import keras
from keras import layers

from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.networks.output_range import check_all_reals
from kelbo.support import UNIT_INTERVAL

# Layers that move values about and leave them as they are.
_MOVERS = (layers.Reshape, layers.Flatten, layers.Permute, layers.Cropping1D, layers.Cropping2D)
# Logits for probabilities from 2% to 98%: a clip beyond that is a guard.
_ENOUGH = (-4.0, 4.0)


def ends_in_sigmoid(network: keras.Model) -> bool:
    """Whether the last step of a network of any kind is a sigmoid: its output are probabilities."""
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
        network: a keras.Model from z to logits of the datum's shape, which can be any real number.

    Raises:
        UsageError: the network ends in a sigmoid or another bounded step, or its outputs do not
            fit.
    """

    support = UNIT_INTERVAL

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
        check_all_reals(
            type(self).__name__,
            network,
            0,
            "logits",
            _ENOUGH,
            " kelbo computes the loss from logits, which is exact, and vae.decoder gives the mean.",
        )

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The logits, (batch, *event)."""
        return {"logits": outputs[0]}
