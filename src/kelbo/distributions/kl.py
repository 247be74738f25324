"""The one table of closed-form Kullback-Leibler divergences, in nats.

An entry computes KL(q || p). Of two distributions with independent dimensions it gives that of
each dimension, and the divergence of a whole value is the sum over its event axes; of any others
it gives that of whole values. A new pair is added by

    @closed_form(MyDistribution, Normal)
    def _(q, p):
        return ...  # (S..., batch, *event) where both are Factorised, else (S..., batch)
"""

from collections.abc import Callable

from keras import ops

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli, log_normaliser
from kelbo.distributions.distribution import Distribution, Factorised, Tensor
from kelbo.distributions.multivariate_normal import MultivariateNormal
from kelbo.distributions.normal import Normal
from kelbo.distributions.sphere import UniformSphere
from kelbo.distributions.von_mises_fisher import VonMisesFisher
from kelbo.errors import UsageError

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
