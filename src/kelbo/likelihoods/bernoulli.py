"""The Bernoulli likelihood p(x|z), for black-and-white images."""

import keras
from keras import layers

from kelbo.distributions import Bernoulli
from kelbo.distributions.distribution import Tensor
from kelbo.likelihoods.logits import LogitsLikelihood


@keras.saving.register_keras_serializable("kelbo")
class BernoulliLikelihood(LogitsLikelihood):
    """Each pixel is one with probability sigmoid(logit) (Kingma and Welling 2014, appendix C.1).

    Grey pixels in [0, 1] are accepted, as in nearly every published example: the loss is then the
    binary cross-entropy, which is not a log-likelihood.

    Args:
        network: a keras.Model from z to logits of the datum's shape, which can be any real number.

    Raises:
        UsageError: the network ends in a sigmoid, or its outputs do not fit.
    """

    def distribution(self, parameters: dict[str, Tensor]) -> Bernoulli:
        """Bernoulli(sigmoid(logits))."""
        return Bernoulli(parameters["logits"], self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """The sigmoid."""
        return layers.Activation("sigmoid", name="dec_out", dtype="float32")
