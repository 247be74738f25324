"""The standard normal prior p(z) = N(0, I)."""

import keras
from keras import ops

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class StandardNormalPrior(Prior):
    """N(0, I) (Kingma and Welling 2014), of z of any rank."""

    def distribution(self, parameters: dict[str, Tensor]) -> Normal:
        """N(0, I) with parameters of the shape of one z."""
        zeros = ops.zeros(self.latent_shape)
        return Normal(zeros, zeros, len(self.latent_shape))
