"""The importance-weighted bound as an objective."""

import math
from numbers import Integral
from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.objective import Objective, elbo_terms
from kelbo.trace import Sizes, Trace


@keras.saving.register_keras_serializable("kelbo")
class IWAE(Objective):
    """loss = -log (1/K) sum_k w_k, w_k = p(x, z_k) / q(z_k|x), z_k ~ q(z|x), in nats.

    Burda et al., "Importance weighted autoencoders", 2016, equation 8. The bound on log p(x) rises
    with K, and K = 1 is the ELBO. The gradient is the bound's own, by reparameterisation, the
    datum's samples weighted by w_k / sum w (equation 13).

    `iwae` is the bound. `elbo` beside it is the ELBO of the same draws, E_q[log p(x|z)] averaged
    over them less `kl`. A weight has log q(z|x) - log p(z) of its own draw, whereas `kl` is in
    closed form where there is one; so at K = 1 `iwae` and `elbo` agree in expectation and not draw
    by draw.

    The decoder's work and the memory of a training step are K times those of the ELBO; the
    encoder runs once for each datum.

    Args:
        num_samples: K.

    Raises:
        UsageError: K is no whole number >= 1.
    """

    logged = ("elbo", "iwae", "reconstruction", "kl")

    def __init__(self, num_samples: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(num_samples, Integral) or num_samples < 1:
            raise UsageError(
                "The importance-weighted bound expects a whole number of samples of at least 1, "
                f"received num_samples={num_samples!r}."
            )
        self.num_samples: int = int(num_samples)
        self.sample_shape = (self.num_samples,)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the four logged terms, each (batch,)."""
        iwae = ops.logsumexp(trace.log_weights, axis=0) - math.log(self.num_samples)
        return {"loss": -iwae, "iwae": iwae, **elbo_terms(trace)}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """1: the loss is minus a bound on log p(x), in which the prior counts in full.

        With K > 1 the bound has no KL term of its own to weigh.
        """
        return 1.0

    def in_words(self) -> str:
        """Its name and K."""
        return f"importance-weighted bound with K = {self.num_samples}"

    def get_config(self) -> dict[str, Any]:
        """K and the layer's own settings."""
        return {**super().get_config(), "num_samples": self.num_samples}
