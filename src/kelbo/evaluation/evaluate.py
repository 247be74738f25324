"""The figures of a test set: the bounds on log p(x), their parts, and what the latents do."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kelbo.bounds import TraceStatistics, chunks, log_mean_exp
from kelbo.data import Dataset
from kelbo.errors import DivergedError, UsageError
from kelbo.evaluation.floors import independent_pixels, pixel_entropy
from kelbo.likelihoods import BernoulliLikelihood
from kelbo.model import LatentVariableModel
from kelbo.objectives import explain_beta, format_beta

# A latent dimension is active when its posterior mean varies by more than this over the data
# (Burda et al. 2016, section 5: the variance over x of E_q[z_j]).
ACTIVE_ABOVE = 0.01


def evaluate(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda images: None,
) -> dict[str, Any]:
    """Evaluate a model on the test part of a data set; everything in nats.

    Args:
        model: a VAE or an AE.
        data: whose test part is judged.
        num_samples: K of the importance-weighted bound; the same draws estimate the ELBO.
        batch_size: images at a time. Memory is bounded by it, whatever K is.
        seed: of the draws.
        on_progress: called with the number of images done.

    Returns:
        What evaluation.json holds. A VAE has elbo, reconstruction = E_q[log p(x|z)], kl,
        importance_weighted_bound, kl_per_dimension, activity, active_units, active_dimensions and
        effective_beta; an AE has the reconstruction alone.

    Raises:
        UsageError: num_samples or batch_size < 1.
        DataError: the data have not the shape that the model was made for, or not its support.
        DivergedError: a figure is NaN or infinite.
    """
    if batch_size < 1:
        raise UsageError(f"Expected batch_size >= 1, received {batch_size}.")
    model.check_data(data.read("test", range(min(batch_size, data.count("test")))))
    figures: dict[str, Any] = {"images": data.count("test"), "unit": "nats"}
    if model.prior is None:
        figures |= _evaluate_autoencoder(model, data, batch_size, on_progress)
    else:
        figures |= _evaluate_bounds(model, data, num_samples, batch_size, seed, on_progress)
    figures |= _effective_beta(model)
    _check_finite(figures)
    return figures | _context(model, data, batch_size, figures)


def _evaluate_bounds(
    model: LatentVariableModel,
    data: Dataset,
    num_samples: int,
    batch_size: int,
    seed: int,
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    sizes = chunks(num_samples, batch_size, model.data_dim)
    noise = keras.random.SeedGenerator(seed)
    statistics = {size: TraceStatistics(model, size, noise) for size in set(sizes)}
    reconstruction, bound, kl, kl_per_dimension, mean = [], [], [], [], []
    done = 0
    for x in data.iterate("test", batch_size):
        log_px_z, log_weights = [], []
        for size in sizes:
            outputs = statistics[size].predict_on_batch(x)
            log_px_z.append(outputs["log_px_z"])
            log_weights.append(outputs["log_weights"])
        of_x, weights = np.concatenate(log_px_z, axis=1), np.concatenate(log_weights, axis=1)
        reconstruction.append(of_x.mean(axis=1))
        bound.append(log_mean_exp(weights))
        if "kl" in outputs:
            kl_per_dimension.append(outputs["kl"])
            kl.append(outputs["kl"].sum(axis=1, dtype="float64"))
        else:  # no closed form: log q(z|x) - log p(z), averaged over the same draws
            kl.append((of_x - weights).mean(axis=1, dtype="float64"))
        mean.append(outputs["mean"])
        done += len(x)
        on_progress(done)
    activity = np.concatenate(mean).var(axis=0, dtype="float64")
    active = np.flatnonzero(activity > ACTIVE_ABOVE)
    mean_reconstruction = float(np.concatenate(reconstruction).mean(dtype="float64"))
    mean_kl = float(np.concatenate(kl).mean())
    figures = {
        "elbo": mean_reconstruction - mean_kl,
        "reconstruction": mean_reconstruction,
        "kl": mean_kl,
        "importance_weighted_bound": float(np.concatenate(bound).mean()),
        "num_samples": num_samples,
        "activity": activity.tolist(),
        "active_units": len(active),
        "active_dimensions": active.tolist(),
    }
    if kl_per_dimension:
        each = np.concatenate(kl_per_dimension).mean(axis=0, dtype="float64")
        figures["kl_per_dimension"] = each.tolist()
    return figures


def _evaluate_autoencoder(
    model: LatentVariableModel,
    data: Dataset,
    batch_size: int,
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    total, done = 0.0, 0
    for x in data.iterate("test", batch_size):
        # An autoencoder draws nothing, so Keras's own test step is the evaluation.
        metrics = model.test_on_batch(x, return_dict=True)
        model.reset_metrics()
        total += float(metrics["reconstruction"]) * len(x)
        done += len(x)
        on_progress(done)
    return {"reconstruction": total / done}


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
        notes.append(
            "The model is worse than one that knows each pixel's mean and nothing else: train it "
            "longer, on more images, or with an effective beta closer to 1."
        )
    if data.binarization == "none":
        floors["pixel_entropy"] = pixel_entropy(data, batch_size)
        notes.append(
            "The pixels lie between 0 and 1 and are not 0 or 1: their Bernoulli cross-entropy is "
            "not a log-likelihood and cannot be compared with published ones. Train with "
            "--binarize dynamic for figures that can."
        )
    return {"floors": floors, "notes": notes}
