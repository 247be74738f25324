"""The continuous Bernoulli likelihood p(x|z), for grey images in [0, 1]."""

import keras
from keras import layers

from kelbo.distributions import ContinuousBernoulli
from kelbo.distributions.continuous_bernoulli import continuous_bernoulli_mean
from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods.logits import LogitsLikelihood


@keras.saving.register_keras_serializable("kelbo")
class ContinuousBernoulliLikelihood(LogitsLikelihood):
    """A density on [0, 1] with the Bernoulli's shape (Loaiza-Ganem and Cunningham 2019).

    Args:
        network: a keras.Model from z to logits of the datum's shape, which can be any real number.

    Raises:
        UsageError: the network ends in a sigmoid, or its outputs do not fit.
    """

    def distribution(self, parameters: dict[str, Tensor]) -> ContinuousBernoulli:
        """The continuous Bernoulli with lambda = sigmoid(logits)."""
        return ContinuousBernoulli(parameters["logits"], self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """The mean, which is not the sigmoid."""
        return layers.Activation(continuous_bernoulli_mean, name="dec_out", dtype="float32")
