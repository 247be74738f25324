"""The one table of closed-form Kullback-Leibler divergences, in nats.

An entry computes KL(q || p). Of two distributions with independent dimensions it gives that of
each dimension, and the divergence of a whole value is the sum over its event axes; of any others
it gives that of whole values. A new pair is added by

    @closed_form(MyDistribution, Normal)
    def _(q, p):
        return ...  # (S..., batch, *event) where both are Factorised, else (S..., batch)
"""

import math
from collections.abc import Callable

from keras import ops

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.categorical import Categorical
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli, log_normaliser
from kelbo.distributions.distribution import LOG_TWO_PI, Distribution, Factorised, Tensor
from kelbo.distributions.laplace import Laplace
from kelbo.distributions.multivariate_normal import MultivariateNormal
from kelbo.distributions.normal import Normal
from kelbo.distributions.special import LOG_TWO
from kelbo.distributions.sphere import UniformSphere
from kelbo.distributions.von_mises_fisher import VonMisesFisher
from kelbo.errors import UsageError

_ROOT_TWO = math.sqrt(2.0)

# By the exact types: a subclass may have another density.
_TABLE: dict[tuple[type[Distribution], type[Distribution]], Callable] = {}


def closed_form(q: type[Distribution], p: type[Distribution]) -> Callable[[Callable], Callable]:
    """Enter a function into the table: KL(q || p) in nats.

    It gives (S..., batch, *event), per dimension, where both classes are subclasses of Factorised,
    and (S..., batch) elsewhere.

    Args:
        q: the class of the first distribution; its subclasses are not meant.
        p: the class of the second.

    Raises:
        UsageError: one is no class of distributions, or the table has the pair already.
    """
    for kind in (q, p):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise UsageError(
                "A closed-form KL is entered for two subclasses of "
                f"kelbo.distributions.Distribution; received {kind!r}."
            )
    if (q, p) in _TABLE:
        raise UsageError(
            f"The table of closed-form KLs has ({q.__name__}, {p.__name__}) already. Enter a "
            "subclass of your own, whose pairs are looked up separately."
        )

    def enter(function: Callable) -> Callable:
        _TABLE[q, p] = function
        return function

    return enter


@closed_form(Normal, Normal)
def _normal_normal(q: Normal, p: Normal) -> Tensor:
    """Kingma and Welling 2014, appendix B, for any two means and variances."""
    squared = ops.square(q.mu - p.mu) * ops.exp(-p.log_var)
    log_ratio = q.log_var - p.log_var
    return 0.5 * (ops.exp(log_ratio) + squared - 1.0 - log_ratio)


@closed_form(Bernoulli, Bernoulli)
def _bernoulli_bernoulli(q: Bernoulli, p: Bernoulli) -> Tensor:
    difference = q.mean() * (q.logits - p.logits)
    return difference - ops.softplus(q.logits) + ops.softplus(p.logits)


@closed_form(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(q: ContinuousBernoulli, p: ContinuousBernoulli) -> Tensor:
    difference = q.mean() * (q.logits - p.logits)
    cumulants = ops.softplus(p.logits) - ops.softplus(q.logits)
    return difference + cumulants + log_normaliser(q.logits) - log_normaliser(p.logits)


@closed_form(Categorical, Categorical)
def _categorical_categorical(q: Categorical, p: Categorical) -> Tensor:
    log_q, log_p = q.log_probabilities, p.log_probabilities
    return ops.sum(ops.exp(log_q) * (log_q - log_p), axis=-1)


@closed_form(Laplace, Laplace)
def _laplace_laplace(q: Laplace, p: Laplace) -> Tensor:
    """The expected distance of a Laplace variable from any point is d + b exp(-d / b)."""
    distance, log_ratio = ops.abs(q.location - p.location), q.log_scale - p.log_scale
    near = ops.exp(log_ratio - distance * ops.exp(-q.log_scale))
    return distance * ops.exp(-p.log_scale) + near - log_ratio - 1.0


@closed_form(Normal, Laplace)
def _normal_laplace(q: Normal, p: Laplace) -> Tensor:
    """The expected distance of a normal variable is a folded normal's mean (Leone et al. 1961)."""
    log_sigma = 0.5 * q.log_var
    t = (q.mu - p.location) * ops.exp(-log_sigma)
    folded = math.sqrt(2.0 / math.pi) * ops.exp(-0.5 * ops.square(t)) + t * ops.erf(t / _ROOT_TWO)
    log_ratio = log_sigma - p.log_scale
    return ops.exp(log_ratio) * folded - log_ratio + LOG_TWO - 0.5 * (LOG_TWO_PI + 1.0)


@closed_form(Laplace, Normal)
def _laplace_normal(q: Laplace, p: Normal) -> Tensor:
    """The second moment of a Laplace variable about any point is 2 b^2 + d^2."""
    moment = 2.0 * ops.exp(2.0 * q.log_scale) + ops.square(q.location - p.mu)
    log_ratio = 0.5 * p.log_var - q.log_scale
    return 0.5 * moment * ops.exp(-p.log_var) + log_ratio + 0.5 * LOG_TWO_PI - LOG_TWO - 1.0


@closed_form(MultivariateNormal, Normal)
def _multivariate_normal_normal(q: MultivariateNormal, p: Normal) -> Tensor:
    """1/2 [tr(S_p^-1 S_q) + (mu_q - mu_p)' S_p^-1 (mu_q - mu_p) - d + log(|S_p| / |S_q|)]."""
    variances = ops.sum(ops.square(q.factor), axis=-1)
    each = (variances + ops.square(q.mu - p.mu)) * ops.exp(-p.log_var) - 1.0 + p.log_var
    return 0.5 * ops.sum(each, axis=-1) - q.log_det


@closed_form(VonMisesFisher, UniformSphere)
def _von_mises_fisher_uniform(q: VonMisesFisher, p: UniformSphere) -> Tensor:
    """Davidson et al. 2018, section 3.2: the mean of the log-ratio, which is linear in mu'z."""
    return q.log_ratio_to_uniform(q.mean_resultant_length()[..., 0])


def has_closed_form(q: Distribution, p: Distribution) -> bool:
    """Whether the table has KL(q || p)."""
    return (type(q), type(p)) in _TABLE


def has_kl_per_dimension(q: Distribution, p: Distribution) -> bool:
    """Whether the table has KL(q || p) as a sum over independent dimensions."""
    return has_closed_form(q, p) and isinstance(q, Factorised) and isinstance(p, Factorised)


def kl_per_dimension(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) of each dimension in nats: (S..., batch, *event).

    Raises:
        UsageError: the table has no closed form for this pair, or only that of whole values.
    """
    _check_closed_form(q, p)
    if not has_kl_per_dimension(q, p):
        raise UsageError(
            f"The KL of {type(q).__name__} from {type(p).__name__} is that of whole values: the "
            "dimensions of z depend on one another and have no KL of their own. Ask "
            "kelbo.distributions.kl_divergence, or use kelbo.GaussianPosterior with a prior of "
            "independent dimensions."
        )
    return _TABLE[type(q), type(p)](q, p)


def kl_divergence(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) in nats: (S..., batch).

    Raises:
        UsageError: the table has no closed form for this pair.
    """
    _check_closed_form(q, p)
    divergence = _TABLE[type(q), type(p)](q, p)
    return q.sum_event(divergence) if has_kl_per_dimension(q, p) else divergence


def _check_closed_form(q: Distribution, p: Distribution) -> None:
    if not has_closed_form(q, p):
        pairs = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in _TABLE)
        raise UsageError(
            f"There is no closed-form KL of {type(q).__name__} from {type(p).__name__}. "
            f"The table has {pairs}. Estimate it by sampling as log q(z) - log p(z), or enter a "
            "closed form with kelbo.distributions.closed_form."
        )
