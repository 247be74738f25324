"""The figures of an evaluation, the most important first. A new one is one more entry."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kelbo.beta import explain_beta, format_beta
from kelbo.evaluation.activity import ACTIVE_ABOVE
from kelbo.evaluation.figure import (
    FLOORS,
    Evaluated,
    Figure,
    Kind,
    Role,
    standard_error,
    three_digits,
)


def _kl(evaluated: Evaluated) -> float | None:
    per_dimension = _kl_per_dimension(evaluated)
    return evaluated.mean("kl") if per_dimension is None else float(np.sum(per_dimension))


def _kl_per_dimension(evaluated: Evaluated) -> list[float] | None:
    kl = evaluated.per_dimension("kl_per_dimension")
    return None if kl is None else kl.mean(axis=0).tolist()


def _elbo(evaluated: Evaluated) -> float | None:
    reconstruction, kl = evaluated.mean("reconstruction"), _kl(evaluated)
    return None if reconstruction is None or kl is None else reconstruction - kl


def _elbo_error(evaluated: Evaluated) -> float | None:
    reconstruction = evaluated.statistics.get("reconstruction")
    kl = evaluated.per_dimension("kl_per_dimension")
    each = evaluated.statistics.get("kl") if kl is None else kl.sum(axis=1)
    return None if reconstruction is None or each is None else standard_error(reconstruction - each)


def _bound_error(evaluated: Evaluated) -> float | None:
    return standard_error(evaluated.statistics.get("bound"))


def _bits(nats: float | None, evaluated: Evaluated) -> float | None:
    """Nats of a datum as bits of each of its values, where the data are discrete."""
    if nats is None or not evaluated.discrete:
        return None
    return nats / (evaluated.model.data_dim * math.log(2.0))


def _activity(evaluated: Evaluated) -> list[float] | None:
    mean = evaluated.per_dimension("mean")
    # An autoencoder has codes, but no prior that an inactive dimension would fall back to.
    return None if mean is None or _kl(evaluated) is None else mean.var(axis=0).tolist()


def _active_dimensions(evaluated: Evaluated) -> list[int] | None:
    activity = _activity(evaluated)
    return None if activity is None else np.flatnonzero(np.array(activity) > ACTIVE_ABOVE).tolist()


def _active_units(evaluated: Evaluated) -> int | None:
    active = _active_dimensions(evaluated)
    return None if active is None else len(active)


def _beta(evaluated: Evaluated) -> float | None:
    return evaluated.model.current_beta


def _beta_note(evaluated: Evaluated) -> str | None:
    """What the beta that the training ended with means."""
    beta, goal = evaluated.model.current_beta, evaluated.model.effective_beta
    if beta is None or goal is None:
        return None
    note = explain_beta(beta)
    if format_beta(beta) == format_beta(goal):
        return note
    planned = f"its warm-up is not finished and will end at {format_beta(goal)}"
    return f"{note}; {planned}" if note else planned


def _negative(name: str) -> Any:
    def compute(evaluated: Evaluated) -> float | None:
        mean = evaluated.mean(name)
        return None if mean is None else -mean

    return compute


def _mean(name: str) -> Any:
    return lambda evaluated: evaluated.mean(name)


def _found(key: str) -> Any:
    return lambda evaluated: evaluated.found.get(key)


def _detail(key: str, label: str) -> Figure:
    """One that others name, and that was found with them."""
    return Figure(key, label, _found(key), role=Role.DETAIL)


def _samples(evaluated: Evaluated) -> int | None:
    return evaluated.num_samples if "bound" in evaluated.statistics else None


def _of_all(value: Any, evaluation: Mapping[str, Any]) -> str:
    count = latent_dim(evaluation)
    return f"{value} of {count}" if count else f"{value}"


FIGURES = (
    Figure(
        "images",
        "Test images",
        lambda evaluated: evaluated.data.count("test"),
        role=Role.DETAIL,
    ),
    Figure("num_samples", "Draws of z for each image", _samples, role=Role.DETAIL),
    Figure(
        "elbo",
        "ELBO",
        _elbo,
        unit="nats",
        better="higher",
        meaning="A lower bound on log p(x), averaged over the images.",
        role=Role.BOUND,
        error="elbo_error",
        logged="elbo",
        needs="a prior",
        of_likelihood=True,
    ),
    Figure(
        "importance_weighted_bound",
        "Importance-weighted bound",
        lambda evaluated: evaluated.mean("bound"),
        unit="nats",
        better="higher",
        detail="K = {num_samples}",
        meaning="A tighter lower bound on log p(x), from K draws of z for each image.",
        role=Role.BOUND,
        error="importance_weighted_bound_error",
        logged="iwae",
        needs="a prior",
        of_likelihood=True,
    ),
    Figure(
        "reconstruction",
        "Reconstruction",
        lambda evaluated: evaluated.mean("reconstruction"),
        unit="nats",
        better="higher",
        meaning="E[log p(x|z)] under q(z|x): how well its own code explains an image.",
        logged="reconstruction",
        of_likelihood=True,
    ),
    Figure(
        "kl",
        "KL divergence",
        _kl,
        unit="nats",
        meaning="KL(q(z|x) ‖ p(z)): how much the code says about the image; the ELBO pays for it.",
        logged="kl",
        needs="a prior",
    ),
    Figure(
        "active_units",
        "Active latent dimensions",
        _active_units,
        meaning="Those whose posterior mean varies from image to image.",
        show=_of_all,
        needs="a prior, and a mean of q(z|x) in closed form",
    ),
    Figure(
        "effective_beta",
        "Effective beta",
        _beta,
        meaning="The weight of the KL term against its weight in the ELBO, which is 1.",
        show=lambda value, _: format_beta(value),
        needs="a KL term in the loss",
    ),
    Figure(
        "ais_log_likelihood",
        "AIS log-likelihood",
        _found("ais_log_likelihood"),
        unit="nats",
        better="higher",
        error="ais_error",
        detail="K = {ais_chains}, n = {ais_images}",
        meaning="log p(x) of n test images by annealed importance sampling, K chains for each: a "
        "lower bound that owes nothing to q(z|x).",
        needs="`kelbo evaluate RUN --estimator ais`",
        of_likelihood=True,
    ),
    Figure(
        "ais_bound",
        "Bound on the same images",
        _found("ais_bound"),
        unit="nats",
        better="higher",
        meaning="The importance-weighted bound on the images of the AIS log-likelihood: what lies "
        "between the two, q(z|x) costs it.",
        needs="`kelbo evaluate RUN --estimator ais`",
        of_likelihood=True,
    ),
    Figure(
        "bdmc_gap",
        "BDMC gap on simulated images",
        _found("bdmc_gap"),
        unit="nats",
        better="lower",
        error="bdmc_error",
        meaning="Between the upper and the lower bound on log p(x) of images that the model draws: "
        "about how far off the AIS log-likelihood is.",
        needs="`kelbo evaluate RUN --estimator ais`",
    ),
    Figure(
        "bits_per_dimension",
        "Bits per dimension",
        lambda evaluated: _bits(_negative("bound")(evaluated), evaluated),
        unit="bits",
        better="lower",
        error="bits_per_dimension_error",
        meaning="The importance-weighted bound, as bits for each value of a datum.",
        show=lambda value, _: f"{value:.3f}",
        needs="data of discrete values, and a likelihood of such",
        of_likelihood=True,
    ),
    Figure(
        "mse",
        "Mean squared error",
        _mean("mse"),
        better="lower",
        meaning="Of the reconstructions, per value.",
        show=three_digits,
        needs="values that are numbers, not classes",
    ),
    Figure(
        "psnr",
        "PSNR",
        _mean("psnr"),
        unit="dB",
        better="higher",
        meaning="The peak signal-to-noise ratio of the reconstructions, at most 100 of an image.",
        needs="images",
    ),
    Figure(
        "ssim",
        "SSIM",
        _mean("ssim"),
        better="higher",
        meaning="The structural similarity of the reconstructions; 1 of equal images.",
        show=lambda value, _: f"{value:.3f}",
        needs="images of at least 11 x 11 pixels",
    ),
    Figure(
        "mutual_information",
        "Mutual information",
        _found("mutual_information"),
        unit="nats",
        detail="N = {code_images}",
        meaning="I(x; z) of N images: what a code says about which of them it is, at most log N.",
        needs="a prior, and independent dimensions of q(z|x)",
    ),
    Figure(
        "aggregate_kl",
        "Aggregate KL",
        _found("aggregate_kl"),
        unit="nats",
        detail="N = {code_images}",
        meaning="KL(q(z) ‖ p(z)) of the codes of N images together: with the mutual information it "
        "is the KL.",
        needs="a prior, and independent dimensions of q(z|x)",
    ),
    Figure(
        "total_correlation",
        "Total correlation",
        _found("total_correlation"),
        unit="nats",
        detail="N = {code_images}",
        meaning="KL(q(z) ‖ ∏ q(z_j)): how much the latent dimensions tell about one another.",
        needs="a prior, and independent dimensions of q(z|x)",
    ),
    Figure(
        "dimension_wise_kl",
        "Dimension-wise KL",
        _found("dimension_wise_kl"),
        unit="nats",
        detail="N = {code_images}",
        meaning="∑ KL(q(z_j) ‖ p(z_j)): how far each dimension by itself is from the prior.",
        needs="independent dimensions of p(z) and of q(z|x)",
    ),
    Figure(
        "frechet_distance",
        "Fréchet distance",
        _found("frechet_distance"),
        better="lower",
        detail="{distance_features}, n = {distance_samples}",
        meaning="Between normal distributions fitted to n samples and to n test images: compare it "
        "at the same n alone.",
        show=three_digits,
        needs="a prior to draw samples from",
    ),
    Figure(
        "kernel_distance",
        "MMD²",
        _found("kernel_distance"),
        better="lower",
        detail="{distance_features}, n = {distance_samples}",
        meaning="The squared maximum mean discrepancy of n samples from n test images, by the "
        "kernel (x·y / d + 1)³: without bias, and so about 0 where nothing tells them apart.",
        show=three_digits,
        needs="a prior to draw samples from",
    ),
    Figure(
        "elbo_error",
        "Standard error of the ELBO",
        _elbo_error,
        role=Role.DETAIL,
    ),
    Figure(
        "importance_weighted_bound_error",
        "Standard error of the importance-weighted bound",
        _bound_error,
        role=Role.DETAIL,
    ),
    Figure(
        "bits_per_dimension_error",
        "Standard error of the bits per dimension",
        lambda evaluated: _bits(_bound_error(evaluated), evaluated),
        role=Role.DETAIL,
    ),
    _detail("ais_error", "Standard error of the AIS log-likelihood"),
    _detail("ais_acceptance", "Proposals that its chains accept"),
    _detail("ais_images", "Images for AIS"),
    _detail("ais_chains", "Chains of AIS for each image"),
    _detail("ais_temperatures", "Temperatures of AIS"),
    _detail("bdmc_lower", "Lower bound on simulated images"),
    _detail("bdmc_upper", "Upper bound on simulated images"),
    _detail("bdmc_error", "Standard error of the BDMC gap"),
    _detail("code_images", "Images whose codes make up q(z)"),
    _detail("distance_samples", "Samples that are compared with as many images"),
    Figure(
        "distance_features",
        "What is compared of them",
        _found("distance_features"),
        kind=Kind.TEXT,
        role=Role.DETAIL,
    ),
    Figure(
        "effective_beta_note",
        "What the effective beta means",
        _beta_note,
        kind=Kind.TEXT,
        role=Role.DETAIL,
    ),
    Figure(
        "kl_per_dimension",
        "KL",
        _kl_per_dimension,
        unit="nats",
        kind=Kind.PER_DIMENSION,
    ),
    Figure(
        "activity",
        "variance of the mean",
        _activity,
        kind=Kind.PER_DIMENSION,
        show=lambda value, _: f"{value:.3g}",
    ),
    Figure("active_dimensions", "active", _active_dimensions, kind=Kind.DIMENSIONS),
    Figure(
        "independent_pixels",
        "Best model without latents",
        _negative("best_constant"),
        unit="nats",
        meaning="Knows the mean of each pixel and nothing else: a model has to do better.",
        role=Role.FLOOR,
    ),
    Figure(
        "pixel_entropy",
        "Entropy of the grey pixels",
        _negative("pixel_entropy"),
        unit="nats",
        meaning="No model's cross-entropy gets past it: it is the greyness of the data.",
        role=Role.FLOOR,
    ),
    Figure(
        "seconds",
        "Seconds of the evaluation",
        lambda evaluated: None,  # whoever evaluates holds the clock
        role=Role.DETAIL,
    ),
)


def compute(evaluated: Evaluated) -> dict[str, Any]:
    """Every figure that applies, by its key; the floors in a table of their own."""
    figures: dict[str, Any] = {"unit": "nats"}
    for figure in FIGURES:
        value = figure.compute(evaluated)
        if value is not None:
            table = figures.setdefault(FLOORS, {}) if figure.role is Role.FLOOR else figures
            table[figure.key] = value
    return figures


def check(evaluation: Mapping[str, Any]) -> None:
    """Check an evaluation that was read.

    Raises:
        ValueError: a figure is not of its kind; the message has what was expected and found.
    """
    floors = evaluation.get(FLOORS, {})
    if not isinstance(floors, dict):
        raise ValueError(f"expected {FLOORS} to be numbers with names, found {str(floors)[:100]}")
    count = latent_dim(evaluation)
    for figure in FIGURES:
        value = figure.value(evaluation)
        if value is not None:
            figure.check(value, count)


def shown(evaluation: Mapping[str, Any], *roles: Role) -> list[Figure]:
    """The figures of some roles that an evaluation has and that are one number."""
    return [
        figure
        for figure in FIGURES
        if figure.kind is Kind.NUMBER
        and figure.role in roles
        and figure.value(evaluation) is not None
    ]


def latent_dim(evaluation: Mapping[str, Any]) -> int:
    """How many latent dimensions an evaluation tells of: 0 where of none."""
    for figure in FIGURES:
        value = figure.value(evaluation)
        if figure.kind is Kind.PER_DIMENSION and isinstance(value, list):
            return len(value)
    return 0


def most_informative_first(evaluation: Mapping[str, Any]) -> list[int]:
    """The active latent dimensions, by their KL where that is known, else by their activity."""
    rank = evaluation.get("kl_per_dimension") or evaluation.get("activity") or []
    return sorted(evaluation.get("active_dimensions") or [], key=lambda index: -rank[index])
