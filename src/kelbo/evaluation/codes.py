"""How the KL of the codes divides: information about x, and how far q(z) is from the prior.

    E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z)),    q(z) = (1/N) sum_n q(z|x_n)

where KL(q(z) || p(z)) = TC + sum_j KL(q(z_j) || p(z_j)) for a prior of independent dimensions
(Hoffman and Johnson 2016, "ELBO surgery"; Chen et al. 2018, equation 2).
"""

import numpy as np
from keras import ops

from kelbo.data import Dataset
from kelbo.distributions import Factorised
from kelbo.distributions.distribution import Tensor
from kelbo.model import LatentVariableModel
from kelbo.single_group import SingleGroup

# So many images make up q(z), whose density at each of their codes takes N^2 terms.
CODES = 2000
_VALUES = 2**23  # that are held at once


def code_figures(
    model: LatentVariableModel, data: Dataset, seed: int = 0, most: int = CODES
) -> dict[str, float]:
    """The parts of the KL in nats, estimated from one code of each of N test images.

    q(z) is the whole mixture over these N images, evaluated in log-space, so that the estimates
    are those of the N images without bias. I(x; z) is then at most log N: it is the information
    about which of them an image is.

    Args:
        model: whose codes are taken.
        data: whose test images are encoded, evenly spaced.
        seed: of the codes.
        most: N at most.

    Returns:
        code_images, which is N; mutual_information; aggregate_kl, KL(q(z) || p(z));
        total_correlation, KL(q(z) || prod_j q(z_j)); dimension_wise_kl, sum_j KL(q(z_j) || p(z_j)),
        where p(z) has independent dimensions. Empty for a model without a bound, with conditions,
        or whose q(z|x) has dimensions that depend on one another.
    """
    if not isinstance(model, SingleGroup) or not model.has_bound or model.context_shapes:
        return {}
    count = min(most, data.count("test"))
    x = data.read("test", np.linspace(0, data.count("test") - 1, count).astype(int))
    encoded = {name: ops.convert_to_tensor(value) for name, value in model.encode(x).items()}
    q = model.posterior.distribution(encoded)
    if not isinstance(q, Factorised):
        return {}
    p = model.prior_of({})
    z = q.sample(seed)
    log_q_each, log_q_joint = _log_mixture(q, z, model.latent_dim)
    found = {
        "code_images": count,
        "mutual_information": _mean(q.log_prob(z)) - log_q_joint.mean(),
        "aggregate_kl": log_q_joint.mean() - _mean(p.log_prob(z)),
        "total_correlation": (log_q_joint - log_q_each.sum(axis=1)).mean(),
    }
    if isinstance(p, Factorised):
        found["dimension_wise_kl"] = log_q_each.sum(axis=1).mean() - _mean(p.log_prob(z))
    return {name: float(value) for name, value in found.items()} | {"code_images": count}


def _log_mixture(q: Factorised, z: Tensor, latent_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """log q(z_j) of each dimension, (n, d), and log q(z), (n,), under the mixture of all n."""
    count = z.shape[0]
    rows = max(1, _VALUES // (count * latent_dim))
    each, joint = [], []
    for start in range(0, count, rows):
        values = q.log_prob_per_dimension(z[start : start + rows][:, None])
        values = ops.reshape(values, (-1, count, latent_dim))
        each.append(ops.convert_to_numpy(ops.logsumexp(values, axis=1)))
        joint.append(ops.convert_to_numpy(ops.logsumexp(ops.sum(values, axis=2), axis=1)))
    log_count = np.log(count)
    return (
        np.concatenate(each).astype("float64") - log_count,
        np.concatenate(joint).astype("float64") - log_count,
    )


def _mean(values: Tensor) -> float:
    return float(ops.convert_to_numpy(values).mean(dtype="float64"))
