"""Computes the figures of a model on a test set."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kelbo.bounds import statistics
from kelbo.data import Dataset
from kelbo.errors import DivergedError, UsageError
from kelbo.evaluation.annealed import Annealing, annealed_figures
from kelbo.evaluation.codes import code_figures
from kelbo.evaluation.distances import Features, distance_figures
from kelbo.evaluation.figure import FLOORS, Evaluated
from kelbo.evaluation.figures import FIGURES, compute
from kelbo.evaluation.findings import findings
from kelbo.evaluation.floors import best_constant, pixel_entropy
from kelbo.evaluation.similarity import similarities
from kelbo.likelihoods import BernoulliLikelihood
from kelbo.model import LatentVariableModel

# The kinds of support whose values are discrete.
_DISCRETE = ("counts", "classes", "levels")


def evaluate(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda images: None,
    rows_per_pass: int | None = None,
    features: Features | None = None,
    features_name: str = "features",
    annealing: Annealing | None = None,
    on_annealing: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Evaluate a model on the test part of a data set; everything in nats.

    Args:
        model: a VAE or an AE.
        data: whose test part is judged.
        num_samples: K of the importance-weighted bound; the same draws estimate the ELBO.
        batch_size: images at a time.
        seed: of the draws, which are a function of it and of the sizes.
        on_progress: called with the number of images done.
        rows_per_pass: how many latent vectors are decoded at once, which bounds the memory,
            whatever K is; None: as many as suit the device.
        features: in which samples are compared with data (`kelbo.evaluation.distances`); None:
            in the values of the data.
        features_name: their name for a reader.
        annealing: how much annealed importance sampling there is to be, or None: none.
        on_annealing: called with the share of that which is done.

    Returns:
        What evaluation.json holds: the figures that apply (`kelbo.evaluation.figures`), and notes,
        sentences on what they say and what they must not be compared with.

    Raises:
        UsageError: a size is < 1, or the model cannot be annealed.
        DataError: the data have not the shape that the model was made for, or not its support.
        DivergedError: a figure is NaN or infinite.
    """
    if batch_size < 1:
        raise UsageError(f"Expected batch_size >= 1, received {batch_size}.")
    model.check_data(data.read("test", range(min(batch_size, data.count("test")))))
    # An autoencoder draws nothing: one sample says everything.
    samples = num_samples if model.has_bound else 1
    each = _statistics(model, data, samples, batch_size, seed, rows_per_pass, on_progress)
    _check_finite(compute(Evaluated(model, data, batch_size, num_samples, each)))
    found: dict[str, Any] = {**code_figures(model, data, seed)}
    if model.likelihood.support.kind != "classes":
        found |= distance_figures(model, data, features, features_name, seed)
    if annealing is not None:
        found |= annealed_figures(model, data, annealing, each.get("bound"), seed, on_annealing)
    discrete = _is_discrete(model, "pixel_entropy" in each)
    figures = compute(Evaluated(model, data, batch_size, num_samples, each, found, discrete))
    _check_finite(figures)
    return figures | {"notes": [*map(str, findings(figures)), *_remarks(figures, data)]}


def _is_discrete(model: LatentVariableModel, grey: bool) -> bool:
    """Whether p(x|z) gives probabilities: a Bernoulli of grey pixels does not."""
    likelihood = model.likelihood
    if isinstance(likelihood, BernoulliLikelihood):
        return not grey
    return likelihood.support.kind in _DISCRETE


def _statistics(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int,
    batch_size: int,
    seed: int,
    rows_per_pass: int | None,
    on_progress: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """The statistics of every test image: see `Evaluated`."""
    parts, done = [], 0
    batches = data.iterate("test", batch_size)
    again = data.iterate("test", batch_size)
    for part in statistics(model, batches, num_samples, batch_size, seed, rows_per_pass):
        x = next(again)
        if model.likelihood.support.kind != "classes":  # which have no distances
            part |= similarities(x, model.reconstruct(x, batch_size), data.kind)
        parts.append(part)
        done += len(part["reconstruction"])
        on_progress(done)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    floors = {
        "best_constant": best_constant(model, data),
        "pixel_entropy": pixel_entropy(model, data),
    }
    return found | {name: values for name, values in floors.items() if values is not None}


def _check_finite(figures: dict[str, Any]) -> None:
    """Refuse figures that mean nothing, and that JSON cannot hold."""
    values = ((figure, figure.value(figures)) for figure in FIGURES)
    broken = [
        figure.key for figure, value in values if value is not None and not figure.is_finite(value)
    ]
    if broken:
        raise DivergedError(
            f"On the test images {', '.join(broken)} became NaN or infinite: the model has "
            "diverged. Train again with a lower learning rate; a Gaussian likelihood may need a "
            "fixed variance."
        )


def _remarks(figures: dict[str, Any], data: Dataset) -> list[str]:
    """What the figures of these data must not be compared with."""
    remarks = [_saturated(figures), _loose(figures), _grey(figures, data)]
    return [remark for remark in remarks if remark]


def _saturated(figures: dict[str, Any]) -> str:
    """Mutual information that is as large as so few images allow."""
    information, images = figures.get("mutual_information"), figures.get("code_images")
    if information is None or images is None or information < 0.9 * math.log(images):
        return ""
    return (
        f"The mutual information of {images:,} images is at most log {images:,} = "
        f"{math.log(images):.2f} nats, which it nearly is: the codes tell these images apart, and "
        "of how much more they say the aggregate KL has the rest."
    )


def _loose(figures: dict[str, Any]) -> str:
    """Annealed importance sampling that is not as exact as it seems."""
    gap = figures.get("bdmc_gap")
    if gap is None or gap < 1.0:
        return ""
    return (
        f"On simulated images annealed importance sampling leaves a gap of {gap:.2f} nats: the AIS "
        "log-likelihood may be too low by as much. More --temperatures make it smaller."
    )


def _grey(figures: dict[str, Any], data: Dataset) -> str:
    """Grey pixels under a Bernoulli."""
    if "pixel_entropy" not in figures.get(FLOORS, {}):
        return ""
    if data.data_shape[-1] == 1:
        cure = "Train with --binarize dynamic for figures that can."
    else:
        cure = "Train with --likelihood continuous-bernoulli or gaussian-shared for one that can."
    return (
        "The pixels lie between 0 and 1 and are not 0 or 1: their Bernoulli cross-entropy is not "
        f"a log-likelihood and cannot be compared with published ones. {cure}"
    )
