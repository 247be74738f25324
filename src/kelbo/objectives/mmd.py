"""The maximum mean discrepancy of two samples, by kernels of several scales."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.objectives.weight import check_weight
from kelbo.priors import MixturePrior, Prior
from kelbo.trace import Trace

KERNELS = ("imq", "rbf")
# Of Tolstikhin et al.'s own code.
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd(x: Tensor, y: Tensor, kernel: str, scales: Sequence[float]) -> Tensor:
    """MMD^2 of two samples of as many points, a scalar, without bias: it may be negative.

    Gretton et al., "A kernel two-sample test", 2012, equation 3 (a U-statistic). With
    u = |x - y|^2 / (2 d), whose expectation between two draws of N(0, I) in d dimensions is 1, the
    kernel is the sum over the scales s of

        "imq": s / (s + u), which is C / (C + |x - y|^2) with C = 2 d s
        "rbf": exp(-u / s), which is a Gaussian of variance d s

    Args:
        x: (n, d).
        y: (n, d).
        kernel: "imq" or "rbf".
        scales: s > 0, in units of the above.
    """
    own = _off_diagonal_mean(_kernel(x, x, kernel, scales))
    other = _off_diagonal_mean(_kernel(y, y, kernel, scales))
    return own + other - 2.0 * ops.mean(_kernel(x, y, kernel, scales))


def _kernel(x: Tensor, y: Tensor, kernel: str, scales: Sequence[float]) -> Tensor:
    """(n, d) and (m, d) -> (n, m)."""
    # Not as x^2 - 2 x y + y^2, which loses the digits of points that are close.
    squared = ops.sum(ops.square(ops.expand_dims(x, 1) - ops.expand_dims(y, 0)), axis=-1)
    u = squared / (2.0 * x.shape[-1])
    if kernel == "imq":
        return sum(scale / (scale + u) for scale in scales)
    return sum(ops.exp(-u / scale) for scale in scales)


def _off_diagonal_mean(matrix: Tensor) -> Tensor:
    """The mean of all but the diagonal; 0 of a matrix of one row."""
    size = ops.cast(ops.shape(matrix)[0], "float32")
    total = ops.sum(matrix * (1.0 - ops.eye(ops.shape(matrix)[0], dtype="float32")))
    return total / ops.maximum(size * (size - 1.0), 1.0)


def mmd_to_prior(trace: Trace, kernel: str, scales: Sequence[float]) -> Tensor:
    """MMD^2 of the draws of z from as many draws of p(z), a scalar."""
    size = ops.shape(trace.z)[0]
    drawn = trace.p.sample(trace.seed, (size,))  # type: ignore[union-attr]  # see `check_prior`
    dimensions = trace.sizes.latent_dim
    z, drawn = (ops.reshape(each, (size, dimensions)) for each in (trace.z, drawn))
    return mmd(z, drawn, kernel, scales)


def check_prior(objective: str, prior: Prior | None, has_kl: bool) -> None:
    """Refuse a model without one p(z) to compare with, or with one that would not be learnt.

    Args:
        objective: its name.
        prior: p(z), or None.
        has_kl: whether the loss has a KL, from which a prior learns beside the MMD.

    Raises:
        UsageError: with the way out.
    """
    if prior is None:
        raise UsageError(
            f"{objective} compares draws of z with draws of a prior, and an autoencoder has none. "
            "Use kelbo.VAE, which takes a DeterministicPosterior, too, with this objective."
        )
    if prior.context_shapes:
        raise UsageError(
            f"{objective} compares all draws of z with draws of one p(z), and the prior has the "
            f"conditions {', '.join(prior.context_shapes)}. Use a prior without conditions, or "
            "kelbo.ELBO."
        )
    if isinstance(prior, MixturePrior) and not has_kl:
        raise UsageError(
            f"The loss of {objective} has no KL and knows the prior by its draws alone, which have "
            f"no gradient in the weights of a {type(prior).__name__}: they would stay as they are. "
            "Use kelbo.StandardNormalPrior, or kelbo.InfoVAE with alpha below 1."
        )


def check_kernel(kernel: Any, scales: Any) -> tuple[str, tuple[float, ...]]:
    """The kernel and its scales.

    Raises:
        UsageError: there is no such kernel, or a scale is not above 0.
    """
    if kernel not in KERNELS:
        raise UsageError(f"Expected the kernel 'imq' or 'rbf', received {kernel!r}.")
    scales = tuple(scales) if isinstance(scales, (list, tuple)) else (scales,)
    for scale in scales:
        check_weight(scale, "A scale of the kernel")
    if not scales or min(scales) <= 0.0:
        raise UsageError(f"Expected scales of the kernel above 0, received {scales!r}.")
    return kernel, tuple(float(scale) for scale in scales)
