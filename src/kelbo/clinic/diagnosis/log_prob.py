"""log p(x|z) as a diagnosis adds it up."""

import numpy as np
from keras import ops

from kelbo.distributions import Factorised
from kelbo.distributions.distribution import Distribution


def log_prob(p: Distribution, x: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """log p(x|z) of each datum in nats, (n,), summed in float64 where p(x|z) is factorised.

    Args:
        p: p(x|z).
        x: (n, *data_shape).
        observed: which values count, as bool that broadcasts against x; None where all do. A
            model only masks x where p(x|z) is factorised.
    """
    if not isinstance(p, Factorised):
        return ops.convert_to_numpy(p.log_prob(x)).astype("float64")
    each = ops.convert_to_numpy(p.log_prob_per_dimension(x))
    each = each if observed is None else np.where(observed, each, 0.0)
    return each.reshape(len(x), -1).sum(axis=1, dtype="float64")
