"""log p(x) by annealed importance sampling on some test images, and its check on simulated data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kelbo.ais import annealed_log_likelihood, bidirectional_monte_carlo
from kelbo.data import Dataset
from kelbo.kinds import check_sizes
from kelbo.vae import VAE


@dataclass(frozen=True)
class Annealing:
    """How much annealed importance sampling there is to be.

    Attributes:
        chains: of each image.
        temperatures: T.
        images: how many test images, evenly spaced; as many are simulated for the check.
    """

    chains: int
    temperatures: int
    images: int


def annealed_figures(
    vae: VAE,
    data: Dataset,
    annealing: Annealing,
    bounds: np.ndarray | None,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> dict[str, float | int]:
    """AIS on test images, and its sandwich on as many images that the model draws.

    Args:
        vae: as `kelbo.ais` takes it.
        data: whose test part is judged.
        annealing: how much.
        bounds: the importance-weighted bound of every test image, in nats, (n,); None of a model
            that has none, for its encoder is deterministic.
        seed: of the draws.
        on_progress: called with the share of the work that is done.

    Returns:
        The figures "ais_..." and "bdmc_..." of `kelbo.evaluation.figures`.

    Raises:
        UsageError: as `kelbo.ais`, or there are to be no images.
    """
    check_sizes(images=annealing.images)
    count = min(annealing.images, data.count("test"))
    chosen = np.linspace(0, data.count("test") - 1, count).astype(int)
    sizes = (annealing.chains, annealing.temperatures)
    found = annealed_log_likelihood(
        vae,
        data.read("test", chosen),
        *sizes,
        seed=seed,
        on_progress=lambda share: on_progress(share / 2),
    )
    sandwich = bidirectional_monte_carlo(
        vae, count, *sizes, seed=seed + 1, on_progress=lambda share: on_progress((1 + share) / 2)
    )
    each = found.log_likelihood
    figures: dict[str, float | int] = {
        "ais_log_likelihood": float(each.mean()),
        "ais_acceptance": float(found.acceptance.mean()),
        "ais_images": count,
        "ais_chains": annealing.chains,
        "ais_temperatures": annealing.temperatures,
        "bdmc_lower": sandwich.lower,
        "bdmc_upper": sandwich.upper,
        "bdmc_gap": sandwich.gap,
    }
    if bounds is not None:
        figures["ais_bound"] = float(bounds[chosen].mean())
    if count > 1:
        figures["ais_error"] = float(each.std(ddof=1) / np.sqrt(count))
        figures["bdmc_error"] = sandwich.standard_error
    return figures
