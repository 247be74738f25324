"""The one table of closed-form Kullback-Leibler divergences, in nats.

An entry computes KL(q || p) of each dimension of two distributions with independent dimensions;
the divergence of a whole value is the sum over its event axes.
"""

from collections.abc import Callable

from keras import ops

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli, log_normaliser
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.distributions.normal import Normal
from kelbo.errors import UsageError


def _normal_normal(q: Normal, p: Normal) -> Tensor:
    """Kingma and Welling 2014, appendix B, for any two means and variances."""
    squared = ops.square(q.mu - p.mu) * ops.exp(-p.log_var)
    log_ratio = q.log_var - p.log_var
    return 0.5 * (ops.exp(log_ratio) + squared - 1.0 - log_ratio)


def _bernoulli_bernoulli(q: Bernoulli, p: Bernoulli) -> Tensor:
    difference = q.mean() * (q.logits - p.logits)
    return difference - ops.softplus(q.logits) + ops.softplus(p.logits)


def _continuous_bernoulli(q: ContinuousBernoulli, p: ContinuousBernoulli) -> Tensor:
    difference = q.mean() * (q.logits - p.logits)
    cumulants = ops.softplus(p.logits) - ops.softplus(q.logits)
    return difference + cumulants + log_normaliser(q.logits) - log_normaliser(p.logits)


_TABLE: dict[tuple[type[Distribution], type[Distribution]], Callable] = {
    (Normal, Normal): _normal_normal,
    (Bernoulli, Bernoulli): _bernoulli_bernoulli,
    (ContinuousBernoulli, ContinuousBernoulli): _continuous_bernoulli,
}


def has_closed_form(q: Distribution, p: Distribution) -> bool:
    """Whether the table has KL(q || p)."""
    return (type(q), type(p)) in _TABLE


def kl_per_dimension(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) of each dimension in nats: (S..., batch, *event).

    Raises:
        UsageError: the table has no closed form for this pair.
    """
    if not has_closed_form(q, p):
        pairs = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in _TABLE)
        raise UsageError(
            f"There is no closed-form KL of {type(q).__name__} from {type(p).__name__}. "
            f"The table has {pairs}. Estimate it by sampling as log q(z) - log p(z)."
        )
    return _TABLE[type(q), type(p)](q, p)


def kl_divergence(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) in nats: (S..., batch).

    Raises:
        UsageError: the table has no closed form for this pair.
    """
    return q.sum_event(kl_per_dimension(q, p))
