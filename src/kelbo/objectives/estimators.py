"""Gradient estimators of a bound: what of log q(z|x) the encoder learns from.

The reparameterised gradient of log w = log p(x, z) - log q(z|x) has two terms: through the draw z,
and through the parameters of log q at a fixed z, whose expectation is zero in an ELBO. "stl" leaves
the second out; "dreg" turns what it is worth in an importance-weighted bound into a gradient
through z, too. Both are zero for every draw where q(z|x) is exact.
"""

from collections.abc import Sequence

from keras import ops

from kelbo.backends.gradient import value_and_gradient
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.example import example
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Trace


def check_gradient(gradient: str, known: Sequence[str], hint: str = "") -> str:
    """The name of an estimator, if it is one of those known.

    Raises:
        UsageError: it is not.
    """
    if gradient not in known:
        names = ", ".join(map(repr, known))
        raise UsageError(f"Expected gradient to be one of {names}, received {gradient!r}. {hint}")
    return gradient


def check_path_gradient(gradient: str, posterior: Posterior, prior: Prior | None) -> None:
    """Refuse "stl" and "dreg" for a q(z|x) that knows no density but at a draw of its own.

    Raises:
        UsageError: with the way out.
    """
    if gradient == "reparameterised":
        return
    q, _ = example(posterior, prior)
    try:
        q.frozen().log_prob(q.sample(0))
    except (UsageError, NotImplementedError):
        raise UsageError(
            f"gradient={gradient!r} takes log q(z|x) at a draw with the parameters of q fixed, and "
            f"a {type(q).__name__} knows its density only together with the draw. Use "
            "gradient='reparameterised'."
        ) from None


def path_log_weights(trace: Trace) -> Tensor:
    """log p(x, z) - log q(z|x), (S..., batch), in nats, q's parameters behind stop_gradient.

    Raises:
        UsageError: there is no prior, or there are several groups of latents: the parameters of a
            lower q depend on the draw above, whose path would be cut off.
    """
    if trace.log_pz is None:
        raise UsageError("The trace of an autoencoder has no prior, so it has no weights.")
    return trace.log_px_z + trace.log_pz - trace.q.frozen().log_prob(trace.z)


def log_weights_of_encoder(trace: Trace, path: bool) -> Tensor:
    """What has log w's gradient in the encoder, and none in the decoder and the prior.

    Its value, (S..., batch), means nothing. The draws are decoded a second time.

    Args:
        trace: of a training step.
        path: whether the parameters of log q(z|x) are held fixed.
    """

    def log_joint(z: Tensor) -> Tensor:
        return trace.log_likelihood(trace.decode(z)) + trace.p.log_prob(z)  # type: ignore[union-attr]

    z = trace.z
    _, slope = value_and_gradient(log_joint, ops.stop_gradient(z))
    log_q = trace.q.frozen().log_prob(z) if path else trace.log_qz_x
    return trace.q.sum_event(ops.stop_gradient(slope) * z) - log_q
