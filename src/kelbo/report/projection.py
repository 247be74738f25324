"""The latent means seen in a plane."""

from dataclasses import dataclass

import numpy as np

from kelbo.errors import DataError


@dataclass(frozen=True)
class Projection:
    """Points to draw and what their axes mean.

    Attributes:
        points: (m, 2), or (m, 1) when there is only one latent dimension.
        axes: one title an axis.
        rotated: whether the axes are principal components, not latent dimensions.
    """

    points: np.ndarray
    axes: tuple[str, ...]
    rotated: bool


def project(means: np.ndarray) -> Projection:
    """Project latent means onto the plane in which they vary most.

    One or two latent dimensions are shown as they are. More are projected onto their first two
    principal components; the axis titles then give each one's share of the total variance. A
    component's sign is arbitrary: here its largest loading is positive.

    Args:
        means: (m, d) the posterior means E_q[z] of m images.

    Raises:
        DataError: the means are not of that shape, are empty, or are not finite.
    """
    means = np.asarray(means, dtype=np.float64)
    if means.ndim != 2 or means.size == 0:
        raise DataError(f"Expected latent means of shape (m, d), found shape {means.shape}.")
    if not np.isfinite(means).all():
        raise DataError("Expected finite latent means, found NaN or infinity.")
    if means.shape[1] <= 2:
        names = tuple(dimension_name(index) for index in range(means.shape[1]))
        return Projection(means, names, rotated=False)

    centred = means - means.mean(axis=0)
    _, singular_values, components = np.linalg.svd(centred, full_matrices=False)
    # A single image has one component only; the other axis is then empty.
    components = np.resize(components[:2], (2, means.shape[1]))
    loudest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(2), loudest])[:, np.newaxis]
    variances = singular_values**2
    total = variances.sum()
    # A collapsed posterior has the same mean for every image: nothing varies, no share is defined.
    shares = variances[:2] / total if total > 0 else np.zeros(2)
    names = tuple(
        f"principal component {rank} ({share:.0%} of the variance)"
        for rank, share in zip((1, 2), np.resize(shares, 2), strict=True)
    )
    return Projection(centred @ components.T, names, rotated=True)


def dimension_name(index: int) -> str:
    """The name of one latent dimension in plain text: 3 is `z₃`."""
    return "z" + str(index).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
