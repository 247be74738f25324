"""The figures of a test set: the bounds on log p(x), their parts, and what the latents do."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kelbo.beta import OR_BETA_OF_1
from kelbo.bounds import statistics
from kelbo.data import Dataset
from kelbo.errors import DivergedError, UsageError
from kelbo.evaluation.activity import ACTIVE_ABOVE
from kelbo.evaluation.floors import independent_pixels, pixel_entropy
from kelbo.likelihoods import BernoulliLikelihood
from kelbo.model import LatentVariableModel
from kelbo.objectives import explain_beta, format_beta


def evaluate(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda images: None,
    rows_per_pass: int | None = None,
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

    Returns:
        What evaluation.json holds. A VAE has elbo, reconstruction = E_q[log p(x|z)], kl,
        importance_weighted_bound, kl_per_dimension, activity, active_units, active_dimensions and
        effective_beta; an AE has the reconstruction alone.

    Raises:
        UsageError: a size is < 1.
        DataError: the data have not the shape that the model was made for, or not its support.
        DivergedError: a figure is NaN or infinite.
    """
    if batch_size < 1:
        raise UsageError(f"Expected batch_size >= 1, received {batch_size}.")
    model.check_data(data.read("test", range(min(batch_size, data.count("test")))))
    figures: dict[str, Any] = {"images": data.count("test"), "unit": "nats"}
    # An autoencoder draws nothing: one sample says everything.
    samples = 1 if model.prior is None else num_samples
    each = _statistics(model, data, samples, batch_size, seed, rows_per_pass, on_progress)
    figures["reconstruction"] = float(each["reconstruction"].mean(dtype="float64"))
    if model.prior is not None:
        figures |= {"num_samples": num_samples, **_figures_of_bounds(each)}
    figures |= _effective_beta(model)
    _check_finite(figures)
    return figures | _context(model, data, batch_size, figures)


def _statistics(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int,
    batch_size: int,
    seed: int,
    rows_per_pass: int | None,
    on_progress: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """The statistics of every test image: see `kelbo.bounds.statistics`."""
    parts, done = [], 0
    batches = data.iterate("test", batch_size)
    for part in statistics(model, batches, num_samples, batch_size, seed, rows_per_pass):
        parts.append(part)
        done += len(part["mean"])
        on_progress(done)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _figures_of_bounds(each: dict[str, np.ndarray]) -> dict[str, Any]:
    """The figures of a VAE's statistics, but for the reconstruction."""
    figures = {}
    if "kl_per_dimension" in each:
        kl_per_dimension = each["kl_per_dimension"].mean(axis=0, dtype="float64")
        figures["kl_per_dimension"] = kl_per_dimension.tolist()
        kl = kl_per_dimension.sum()
    else:
        kl = each["kl"].mean(dtype="float64")
    activity = each["mean"].var(axis=0, dtype="float64")
    active = np.flatnonzero(activity > ACTIVE_ABOVE)
    return figures | {
        "elbo": float(each["reconstruction"].mean(dtype="float64") - kl),
        "kl": float(kl),
        "importance_weighted_bound": float(each["bound"].mean()),
        "activity": activity.tolist(),
        "active_units": len(active),
        "active_dimensions": active.tolist(),
    }


def _effective_beta(model: LatentVariableModel) -> dict[str, Any]:
    """The beta that the training ended with, and what it means; nothing where there is no KL."""
    beta, goal = model.current_beta, model.effective_beta
    if beta is None or goal is None:
        return {}
    note = explain_beta(beta)
    if beta != goal:
        planned = f"its warm-up is not finished and will end at {format_beta(goal)}"
        note = f"{note}; {planned}" if note else planned
    return {"effective_beta": beta, "effective_beta_note": note}


def _check_finite(figures: dict[str, Any]) -> None:
    """Refuse figures that mean nothing, and that JSON cannot hold."""
    broken = [
        name
        for name, value in figures.items()
        if isinstance(value, float | list) and not np.isfinite(value).all()
    ]
    if broken:
        raise DivergedError(
            f"On the test images {', '.join(broken)} became NaN or infinite: the model has "
            "diverged. Train again with a lower learning rate; a Gaussian likelihood may need a "
            "fixed variance."
        )


def _context(
    model: LatentVariableModel, data: Dataset, batch_size: int, figures: dict[str, Any]
) -> dict[str, Any]:
    """What the figures must be read beside: floors, and warnings about their meaning."""
    if not isinstance(model.likelihood, BernoulliLikelihood):
        return {}
    floors = {"independent_pixels": independent_pixels(data, batch_size)}
    notes = []
    if -figures.get("elbo", figures["reconstruction"]) > floors["independent_pixels"]:
        beta = figures.get("effective_beta")
        other_beta = OR_BETA_OF_1 if beta is not None and explain_beta(beta) else ""
        notes.append(
            "The model is worse than one that knows each pixel's mean and nothing else: train it "
            f"longer or on more images{other_beta}."
        )
    if data.binarization == "none":
        floors["pixel_entropy"] = pixel_entropy(data, batch_size)
        notes.append(
            "The pixels lie between 0 and 1 and are not 0 or 1: their Bernoulli cross-entropy is "
            "not a log-likelihood and cannot be compared with published ones. Train with "
            "--binarize dynamic for figures that can."
        )
    return {"floors": floors, "notes": notes}
