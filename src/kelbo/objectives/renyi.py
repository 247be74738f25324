"""The variational Renyi bound, from the ELBO to the importance-weighted bound and beyond."""

import math
from numbers import Real
from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.iwae import ImportanceWeighted, check_samples, log_mean, normalised

# Closer to 1 a float32 cannot tell the bound from its limit.
_CLOSE = 1e-3


@keras.saving.register_keras_serializable("kelbo")
class Renyi(ImportanceWeighted):
    """loss = -1/(1 - alpha) log (1/K) sum_k w_k^(1 - alpha), in nats.

    Li and Turner, "Renyi divergence variational inference", 2016, equation 6. alpha = 1 is the ELBO
    (the mean of log w), alpha = 0 the importance-weighted bound; between them it lies between them.
    With alpha < 0 it exceeds log p(x) in the limit of large K. With few draws it is biased
    towards the ELBO (their theorem 2).

    With "dreg" the encoder's shares are alpha s_k + (1 - alpha) s_k^2, which is Tucker et al.'s
    derivation for the weights w^(1 - alpha): the derivative of s_k in log w_k is
    (1 - alpha) (s_k - s_k^2).

    Args:
        num_samples: K.
        alpha: a finite number.
        gradient: see `ImportanceWeighted`.

    Raises:
        UsageError: K is no whole number >= 1, `alpha` is no such number or nearly but not quite 1,
            or `gradient` is unknown.
    """

    logged = ("elbo", "renyi", "reconstruction", "kl")

    def __init__(
        self,
        num_samples: int,
        alpha: float = 0.5,
        gradient: str = "reparameterised",
        **kwargs: Any,
    ):
        self.num_samples = check_samples("num_samples", num_samples)
        number = isinstance(alpha, Real) and not isinstance(alpha, bool)
        if not number or not math.isfinite(alpha) or 0.0 < abs(1.0 - alpha) < _CLOSE:
            raise UsageError(
                "Expected alpha to be a finite number, which is 1 or further than "
                f"{_CLOSE} from it, received {alpha!r}."
            )
        self.alpha = float(alpha)
        super().__init__((self.num_samples,), gradient, **kwargs)

    def bound(self, log_weights: Tensor) -> Tensor:
        """The bound, (batch,)."""
        mean = ops.mean(log_weights, axis=0)
        if self.alpha == 1.0:
            return mean
        # About the mean, so that what is divided by a small 1 - alpha is small, too.
        power = 1.0 - self.alpha
        return mean + log_mean(power * (log_weights - mean), (0,)) / power

    def shares(self, log_weights: Tensor) -> Tensor:
        """w_k^(1 - alpha) / sum w^(1 - alpha), (K, batch)."""
        return normalised((1.0 - self.alpha) * log_weights, (0,))

    def doubly_reparameterised_shares(self, log_weights: Tensor) -> Tensor:
        """alpha s_k + (1 - alpha) s_k^2, (K, batch)."""
        shares = self.shares(log_weights)
        return self.alpha * shares + (1.0 - self.alpha) * ops.square(shares)

    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """The bound, as `renyi`."""
        return {"renyi": self.bound(log_weights)}

    def in_words(self) -> str:
        """Its name, alpha and K."""
        return f"Renyi bound with alpha = {self.alpha:g} and K = {self.num_samples}"

    def get_config(self) -> dict[str, Any]:
        """K, alpha and the layer's own settings."""
        return {**super().get_config(), "num_samples": self.num_samples, "alpha": self.alpha}
