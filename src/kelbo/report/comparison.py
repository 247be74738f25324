"""Several runs beside one another, as one table: see `kelbo compare`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np

from kelbo.evaluation import figures
from kelbo.evaluation.figure import Figure, Kind, Role
from kelbo.report.contents import Contents
from kelbo.report.notices import Notice
from kelbo.report.words import text

# Choices about the data that leave the test images as they are.
_TRAINING_DATA = ("train_limit", "cache", "strict")


@dataclass(frozen=True)
class Cell:
    """What one run has in one row.

    Attributes:
        shown: the value as text; "" where it has none.
        value: the value as it is, or None.
        best: whether it is the best of the row.
        missing: why it has none.
    """

    shown: str
    value: Any = None
    best: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Row:
    """One choice or figure of all runs.

    Attributes:
        name: what it is.
        cells: one for each run.
        unit: of a figure.
        better: "higher" or "lower" where that is better.
        meaning: how to read it.
    """

    name: str
    cells: Sequence[Cell]
    unit: str = ""
    better: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Comparison:
    """Runs, what a reader must know of how they differ, and the table.

    Attributes:
        runs: in the order in which they were named.
        letters: a letter for each.
        differences: what forbids to compare some figures, the gravest first.
        choices: rows of what was chosen and what the training took.
        figures: rows of figures on the test images.
        same_images: whether the pictures of all runs show the same test images.
    """

    runs: Sequence[Contents]
    letters: Sequence[str]
    differences: Sequence[Notice]
    choices: Sequence[Row]
    figures: Sequence[Row]
    same_images: bool


def compare(runs: Sequence[Contents]) -> Comparison:
    """Compare runs.

    The best value of a row is marked only where it can be told: on the same test images, with the
    same number of draws, and of log p(x) under the same kind of likelihood.
    """
    letters = ascii_uppercase[: len(runs)]
    data = _different_data(runs, letters)
    likelihoods = _different_likelihoods(runs, letters)
    return Comparison(
        runs,
        letters,
        [notice for notice in (data, likelihoods, _limited(runs, letters)) if notice],
        [*_choices(runs), _epochs(runs), _seconds(runs)],
        list(_figures(runs, comparable=data is None, likelihoods=likelihoods is None)),
        _same([run.arrays.get("originals") for run in runs]),
    )


def _by_letter(values: Iterable[Any], letters: str) -> str:
    """`A: mnist; B, C: cifar10`."""
    held: dict[str, list[str]] = {}
    for letter, value in zip(letters, values, strict=True):
        held.setdefault("none" if value is None else text(value), []).append(letter)
    return "; ".join(f"{', '.join(group)}: {value}" for value, group in held.items())


def _table(run: Contents, name: str) -> Mapping[str, Any]:
    table = run.config.get(name)
    return table if isinstance(table, Mapping) else {}


def _differing(runs: Sequence[Contents], name: str) -> list[str]:
    """The keys of a table of the configuration in which runs differ."""
    tables = [dict(_flat(_table(run, name))) for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    return [key for key in keys if len({str(table.get(key)) for table in tables}) > 1]


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested table as rows: `("options.beta", 4.0)`."""
    rows: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _different_data(runs: Sequence[Contents], letters: str) -> Notice | None:
    """Whether the runs were judged on different test images."""
    found = []
    for key in _differing(runs, "data"):
        if key not in _TRAINING_DATA:
            values = [_table(run, "data").get(key) for run in runs]
            found.append(f"{key} ({_by_letter(values, letters)})")
    seeds = [_table(run, "training").get("seed") for run in runs]
    drawn = {_table(run, "data").get("binarization") for run in runs} & {"static", "dynamic"}
    if drawn and len(set(map(str, seeds))) > 1:
        found.append(f"the seed of the binarisation ({_by_letter(seeds, letters)})")
    counts = [run.evaluation.get("images") for run in runs]
    if len({count for count in counts if count is not None}) > 1:
        found.append(f"the number of test images ({_by_letter(counts, letters)})")
    if not found and not _same([run.arrays.get("originals") for run in runs]):
        found.append("the test images themselves, although the configurations say the same")
    if not found:
        return None
    return Notice(
        "Different test images",
        f"The runs differ in {', in '.join(found)}. Their figures are not of the same images, so "
        "that none is marked as the best.",
        grave=True,
    )


def _same(arrays: Sequence[np.ndarray | None]) -> bool:
    """Whether those that there are hold the same."""
    held = [array for array in arrays if array is not None]
    return all(np.array_equal(held[0], array) for array in held[1:])


def _different_likelihoods(runs: Sequence[Contents], letters: str) -> Notice | None:
    names = [str(_table(run, "model").get("likelihood")) for run in runs]
    if len({name.partition("-")[0] if name.startswith("gaussian") else name for name in names}) < 2:
        return None
    return Notice(
        "Different likelihoods",
        f"{_by_letter(names, letters)}. What is made of log p(x|z) differs between them by what "
        "they count, not by how good a model is, and is not marked.",
    )


def _limited(runs: Sequence[Contents], letters: str) -> Notice | None:
    limits = [run.environment.get("training_images") for run in runs]
    if len({limit for limit in limits if limit is not None}) < 2:
        return None
    return Notice(
        "Different amounts of training data",
        f"Images to train on: {_by_letter(limits, letters)}.",
    )


def _choices(runs: Sequence[Contents]) -> Iterable[Row]:
    """The model, and every choice in which the runs differ."""
    presets = [_table(run, "model").get("preset") for run in runs]
    yield Row("Model", [_chosen(value) for value in presets])
    for name in ("model", "data", "training"):
        for key in _differing(runs, name):
            if (name, key) not in (("model", "preset"), ("training", "epochs")):
                values = [dict(_flat(_table(run, name))).get(key) for run in runs]
                yield Row(f"{name}.{key}", [_chosen(value) for value in values])


def _chosen(value: Any) -> Cell:
    return Cell("", missing="not chosen") if value is None else Cell(text(value), value)


def _epochs(runs: Sequence[Contents]) -> Row:
    cells = []
    for run in runs:
        done = len(run.metrics.get("epoch", ()))
        planned = _table(run, "training").get("epochs")
        of = "" if planned in (None, done) else f" of {planned}"
        missing = "" if done else "no epoch was finished"
        cells.append(Cell(f"{done}{of}" if done else "", done or None, missing=missing))
    return Row("Epochs", cells)


def _seconds(runs: Sequence[Contents]) -> Row:
    cells = []
    for run in runs:
        total = sum(run.metrics.get("seconds", [math.nan]))
        known = math.isfinite(total)
        missing = "" if known else "the training did not store it"
        cells.append(
            Cell(f"{total:,.1f}" if known else "", total if known else None, False, missing)
        )
    return Row("Training", cells, unit="seconds")


def _figures(runs: Sequence[Contents], comparable: bool, likelihoods: bool) -> Iterable[Row]:
    """Every figure that one of the runs has."""
    for figure in figures.FIGURES:
        if figure.kind is not Kind.NUMBER or figure.role not in (Role.BOUND, Role.FIGURE):
            continue
        values = [figure.value(run.evaluation) for run in runs]
        if all(value is None for value in values):
            continue
        names = [
            figure.name(run.evaluation)
            for run, value in zip(runs, values, strict=True)
            if value is not None
        ]
        alike = len(set(names)) == 1
        fair = comparable and alike and (likelihoods or not figure.of_likelihood)
        best = _best(figure, values) if fair else None
        cells = [_cell(figure, run, alike, best) for run in runs]
        name = names[0] if alike else figure.label
        yield Row(name, cells, figure.unit, figure.better, figure.meaning)


def _best(figure: Figure, values: Sequence[Any]) -> Any:
    """The best value; None where there is no better, or only one run has the figure."""
    known = [value for value in values if value is not None]
    choose: dict[str, Callable[[Sequence[Any]], Any]] = {"higher": max, "lower": min}
    return choose[figure.better](known) if figure.better and len(known) > 1 else None


def _cell(figure: Figure, run: Contents, alike: bool, best: Any) -> Cell:
    value = figure.value(run.evaluation)
    if value is None:
        if not run.evaluation:
            reason = f"not evaluated yet: kelbo evaluate {run.run.path}"
        else:
            needs = figure.needs.replace("RUN", str(run.run.path)).replace("`", "")
            again = f"kelbo evaluate {run.run.path}, where the evaluation is older than the figure"
            reason = f"it needs {needs}" if needs else again
        return Cell("", missing=reason)
    shown = figure.show(value, run.evaluation)
    # As good as the best is what reads the same.
    is_best = best is not None and shown == figure.show(best, run.evaluation)
    error = figure.standard_error(run.evaluation)
    detail = "" if alike else figure.name(run.evaluation).removeprefix(f"{figure.label}, ")
    whole = f"{shown} ± {error}" if error else shown
    return Cell(f"{whole} ({detail})" if detail else whole, value, is_best)
