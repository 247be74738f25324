"""The figures of an evaluation as the page shows them; see `kelbo.evaluation.figures`.

A figure that the run does not hold is left out, never shown as zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelbo.evaluation import figures
from kelbo.evaluation.figure import FLOORS, Figure, Kind, Role, is_number
from kelbo.report.words import minus, nats, number, readable


@dataclass(frozen=True)
class Quantity:
    """One figure with its meaning.

    Attributes:
        name: what it is called.
        value: the number as text.
        unit: its unit, or "".
        meaning: how to read it, or "".
    """

    name: str
    value: str
    unit: str = ""
    meaning: str = ""


def quantities(evaluation: Mapping[str, Any]) -> list[Quantity]:
    """The figures on the test set, the most important first."""
    found = [
        _quantity(figure, figure.value(evaluation), evaluation)
        for figure in figures.shown(evaluation, Role.BOUND, Role.FIGURE)
    ]
    known = {figure.key for figure in figures.FIGURES}
    for key, value in evaluation.items():
        if key not in known and is_number(value):
            found.append(Quantity(readable(key), number(value)))
    return found


def _quantity(figure: Figure, value: Any, evaluation: Mapping[str, Any]) -> Quantity:
    name = figure.name(evaluation).replace(" = ", "\u00a0=\u00a0")
    error = figure.standard_error(evaluation)
    remarks = (
        figure.meaning,
        f"Standard error {error}." if error else "",
        f"{figure.better.capitalize()} is better." if figure.better else "",
    )
    shown = minus(figure.show(value, evaluation))
    return Quantity(name, shown, figure.unit, " ".join(filter(None, remarks)))


@dataclass(frozen=True)
class Reference:
    """A point on the scale of −log p(x).

    Attributes:
        quantity: where it lies.
        own: whether it is this run's, not a floor of the data.
    """

    quantity: Quantity
    own: bool


def reference_points(evaluation: Mapping[str, Any]) -> list[Reference]:
    """This run between the floors of its data, in −log p(x), from the highest to the lowest.

    Empty when the evaluation knows no floors.
    """
    floors = evaluation.get(FLOORS) or {}
    if not floors:
        return []
    bounds = figures.shown(evaluation, Role.BOUND)
    if not bounds:  # an autoencoder's cross-entropy
        bounds = [figure for figure in figures.FIGURES if figure.key == "reconstruction"]
    points = []
    for figure in bounds:
        value = figure.value(evaluation)
        if value is not None:
            name = f"This run, −{_quantity(figure, value, evaluation).name}"
            points.append((-value, name, figure.unit, figure.meaning, True))
    known = {figure.key: figure for figure in figures.shown(evaluation, Role.FLOOR)}
    for key, value in floors.items():
        floor = known.get(key)
        label, meaning = (floor.label, floor.meaning) if floor else (readable(key), "")
        points.append((value, label, "nats", meaning, False))
    points.sort(key=lambda point: -point[0])
    return [
        Reference(Quantity(name, nats(value), unit, meaning), own)
        for value, name, unit, meaning, own in points
    ]


@dataclass(frozen=True)
class Dimensions:
    """Every latent dimension in figures, the most informative first.

    Attributes:
        titles: what the columns are.
        rows: the number of a dimension, counted from 0, and its figures as text.
    """

    titles: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]


def dimensions(evaluation: Mapping[str, Any]) -> Dimensions:
    """What the evaluation has for each latent dimension."""
    lists = [
        (figure, figure.value(evaluation))
        for figure in figures.FIGURES
        if figure.kind is Kind.PER_DIMENSION and figure.value(evaluation)
    ]
    if not lists:
        return Dimensions([], [])
    order = sorted(range(len(lists[0][1])), key=lambda index: -lists[0][1][index])
    titles = [
        f"{figure.label}, {figure.unit}" if figure.unit else figure.label for figure, _ in lists
    ]
    active = evaluation.get("active_dimensions")
    rows = []
    for index in order:
        cells = [minus(figure.show(values[index], evaluation)) for figure, values in lists]
        if active is not None:
            cells.append("yes" if index in active else "no")
        rows.append((index, cells))
    return Dimensions(titles + ([] if active is None else ["active"]), rows)
