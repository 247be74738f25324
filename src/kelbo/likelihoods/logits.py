"""What the likelihoods on [0, 1] share: one parameter for each pixel, a logit."""

from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.networks.output_range import check_all_reals
from kelbo.support import UNIT_INTERVAL

# Logits for probabilities from 2% to 98%: a clip beyond that is a guard.
_ENOUGH = (-4.0, 4.0)


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
