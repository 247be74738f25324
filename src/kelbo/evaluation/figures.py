"""The figures of an evaluation, the most important first. A new one is one more entry."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kelbo.beta import explain_beta, format_beta
from kelbo.evaluation.activity import ACTIVE_ABOVE
from kelbo.evaluation.figure import FLOORS, Evaluated, Figure, Kind, Role


def _kl(evaluated: Evaluated) -> float | None:
    per_dimension = _kl_per_dimension(evaluated)
    return evaluated.mean("kl") if per_dimension is None else float(np.sum(per_dimension))


def _kl_per_dimension(evaluated: Evaluated) -> list[float] | None:
    kl = evaluated.per_dimension("kl_per_dimension")
    return None if kl is None else kl.mean(axis=0).tolist()


def _elbo(evaluated: Evaluated) -> float | None:
    reconstruction, kl = evaluated.mean("reconstruction"), _kl(evaluated)
    return None if reconstruction is None or kl is None else reconstruction - kl


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
        logged="elbo",
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
        logged="iwae",
    ),
    Figure(
        "reconstruction",
        "Reconstruction",
        lambda evaluated: evaluated.mean("reconstruction"),
        unit="nats",
        better="higher",
        meaning="E[log p(x|z)] under q(z|x): how well its own code explains an image.",
        logged="reconstruction",
    ),
    Figure(
        "kl",
        "KL divergence",
        _kl,
        unit="nats",
        meaning="KL(q(z|x) ‖ p(z)): how much the code says about the image; the ELBO pays for it.",
        logged="kl",
    ),
    Figure(
        "active_units",
        "Active latent dimensions",
        _active_units,
        meaning="Those whose posterior mean varies from image to image.",
        show=_of_all,
    ),
    Figure(
        "effective_beta",
        "Effective beta",
        _beta,
        meaning="The weight of the KL term against its weight in the ELBO, which is 1.",
        show=lambda value, _: format_beta(value),
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
