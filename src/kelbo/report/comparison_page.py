"""One HTML page about several runs, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import kelbo
from kelbo.files import write_text
from kelbo.report import charts
from kelbo.report.charts import NARROW, Curve
from kelbo.report.colours import COLOURS
from kelbo.report.comparison import Comparison
from kelbo.report.contents import Contents
from kelbo.report.grid import CLEAR, full_rows, image_grid
from kelbo.report.pictures import Picture, embed
from kelbo.report.render import PAPER, style, to_svg
from kelbo.report.template import template

MOST_RUNS = len(COLOURS)  # each has a colour of its own

_MARKERS = "os^Dv"
_MOST_IMAGES = 10
_MOST_SAMPLES = 6


@dataclass(frozen=True)
class Strip:
    """A row of images with what they are: `Test images`, `A`."""

    name: str
    picture: Picture


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page; everything that it shows is inside it."""
    runs, letters = comparison.runs, comparison.letters
    samples = [
        _strip(letter, run.arrays["samples"], _MOST_SAMPLES**2, _MOST_SAMPLES, "samples of run {}")
        for letter, run in zip(letters, runs, strict=True)
        if "samples" in run.arrays
    ]
    content = {
        "runs": [
            {"letter": letter, "colour": colour, "path": str(run.run.path), "title": run.title}
            for letter, run, colour in zip(letters, runs, COLOURS, strict=False)
        ],
        "differences": comparison.differences,
        "choices": comparison.choices,
        "figures": comparison.figures,
        "missing": missing(comparison),
        "charts": _charts(runs, letters),
        "reconstructions": _reconstructions(comparison),
        "same_images": comparison.same_images,
        "samples": samples,
        "without_pictures": _without(runs, letters, "reconstructions"),
        "without_samples": _without(runs, letters, "samples"),
        "version": kelbo.__version__,
    }
    write_text(path, template("comparison.html.jinja").render(content))


def missing(comparison: Comparison) -> list[str]:
    """Why figures are not there, a sentence for each run and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in (*comparison.choices, *comparison.figures):
        for letter, cell in zip(comparison.letters, row.cells, strict=True):
            if cell.missing and cell.missing != "not chosen":
                found.setdefault((letter, cell.missing), []).append(row.name)
    return [f"{letter} has no {'; '.join(rows)}: {why}." for (letter, why), rows in found.items()]


def _without(runs: Sequence[Contents], letters: Sequence[str], name: str) -> str:
    """The letters of the runs that store no such pictures: `B, C`."""
    pairs = zip(letters, runs, strict=True)
    return ", ".join(letter for letter, run in pairs if name not in run.arrays)


def _charts(runs: Sequence[Contents], letters: Sequence[str]) -> list[Markup]:
    """A chart a quantity, with a line for each run that logged it."""
    found: dict[str, dict[str, Curve]] = {}
    for letter, run in zip(letters, runs, strict=True):
        for curve in charts.curves(run.metrics) if run.metrics else []:
            found.setdefault(curve.title, {})[letter] = curve
    drawn = []
    for index, (title, curves) in enumerate(found.items()):
        described = "; ".join(
            f"{letter} ends at {_values(curve)[-1]:.4g}" for letter, curve in curves.items()
        )
        figure = _overlaid(title, curves, letters)
        drawn.append(Markup(to_svg(figure, f"curve-{index}", f"{title}: {described}.")))
    return drawn


def _values(curve: Curve) -> Sequence[float]:
    """On the test images where they were measured there, else in training."""
    return curve.training if curve.validation is None else curve.validation


def _overlaid(title: str, curves: Mapping[str, Curve], letters: Sequence[str]) -> Figure:
    with style():
        figure = Figure(figsize=(NARROW, 2.6), layout="constrained")
        axes = figure.subplots()
        for letter, curve in curves.items():
            index = letters.index(letter)
            axes.plot(
                curve.epochs,
                _values(curve),
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=4.5 if len(curve.epochs) <= 30 else 0.0,
                markerfacecolor=PAPER if index >= len(_MARKERS) else COLOURS[index],
                color=COLOURS[index],
                label=letter,
            )
        axes.legend(loc="best", handlelength=2.2)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return figure


def _reconstructions(comparison: Comparison) -> list[Strip]:
    """The test images, once where they are the same, and what each run makes of them."""
    strips: list[Strip] = []
    for letter, run in zip(comparison.letters, comparison.runs, strict=True):
        if "reconstructions" not in run.arrays:
            continue
        if not strips or not comparison.same_images:
            name = "Test images" if comparison.same_images else f"{letter}, test images"
            strips.append(_strip(name, run.arrays["originals"], _MOST_IMAGES, _MOST_IMAGES, "{}"))
        images = run.arrays["reconstructions"]
        described = "reconstructions of run {}"
        strips.append(_strip(letter, images, _MOST_IMAGES, _MOST_IMAGES, described))
    return strips


def _strip(name: str, images: np.ndarray, most: int, columns: int, described: str) -> Strip:
    count, columns = full_rows(min(len(images), most), columns)
    picture = image_grid(images[:count], columns, background=CLEAR)
    return Strip(name, embed(picture, columns, f"{count} images: {described.format(name)}."))
