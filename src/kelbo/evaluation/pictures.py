"""What the pictures of a report show, as arrays: see `kelbo.runs.ARRAYS`."""

from collections.abc import Sequence

import numpy as np

from kelbo.data import Dataset
from kelbo.model import LatentVariableModel

ORIGINALS = 20
SAMPLES = 64
LATENT_MEANS = 5000
# A traversal walks through 99% of the standard normal's mass.
TRAVERSAL = np.linspace(-2.6, 2.6, 11)


def picture_arrays(
    model: LatentVariableModel,
    data: Dataset,
    active_dimensions: Sequence[int] = (),
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Reconstructions, samples, traversals and latent means of a model.

    Args:
        model: a VAE, or an AE, which has neither samples nor traversals.
        data: whose test part is shown.
        active_dimensions: the latent dimensions to walk along, in that order.
        seed: of the samples.

    Returns:
        originals and reconstructions (n, height, width, channels); samples likewise; traversals
        (rows, steps, height, width, channels) with traversal_dimensions (rows,) and
        traversal_values (steps,); latent_means (m, latent_dim), latent_labels (m,) and label_names
        where the data have them. The axes of a z of higher rank are flattened in row-major order.
    """
    originals, _ = data.head("test", ORIGINALS)
    means, labels = _latent_means(model, data)
    arrays = {
        "originals": originals,
        "reconstructions": model.reconstruct(originals),
        "latent_means": means,
    }
    if labels is not None:
        arrays["latent_labels"] = labels
    if data.label_names is not None:
        arrays["label_names"] = np.array(data.label_names)
    if model.has_prior:
        arrays["samples"] = model.sample(SAMPLES, seed=seed)
        if len(active_dimensions):
            arrays |= _traversals(model, means[0], active_dimensions)
    return arrays


def _latent_means(
    model: LatentVariableModel, data: Dataset
) -> tuple[np.ndarray, np.ndarray | None]:
    """The codes of the first LATENT_MEANS test images, read batch by batch, and their labels."""
    means: list[np.ndarray] = []
    for x in data.iterate("test", 500):
        mean = model.codes(x)
        means.append(mean.reshape(len(mean), -1))
        if sum(map(len, means)) >= LATENT_MEANS:
            break
    labels = data.labels("test")
    return np.concatenate(means)[:LATENT_MEANS], None if labels is None else labels[:LATENT_MEANS]


def _traversals(
    model: LatentVariableModel, start: np.ndarray, dimensions: Sequence[int]
) -> dict[str, np.ndarray]:
    """Walk along each dimension from the code of one image, all others held."""
    z = np.tile(start, (len(dimensions), len(TRAVERSAL), 1))
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = TRAVERSAL
    images = model.decode(z.reshape(-1, *model.latent_shape))
    return {
        "traversals": images.reshape(len(dimensions), len(TRAVERSAL), *images.shape[1:]),
        "traversal_dimensions": np.asarray(dimensions),
        "traversal_values": TRAVERSAL,
    }
