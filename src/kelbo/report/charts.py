"""The charts of a report: curves over the epochs, KL per latent dimension, latent means."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from kelbo.errors import DataError
from kelbo.report.grid import balanced_columns
from kelbo.report.projection import Projection, project
from kelbo.report.render import ACCENT, INK, MUTED, PAPER, SECOND, style

# Ten colours that keep apart in every common form of colour blindness and on light and dark
# ground; a second marker makes them twenty.
_COLOURS = (
    "#3f7fc1",
    "#e58a1f",
    "#1f9e77",
    "#d4508f",
    "#8a63d2",
    "#56b4e9",
    "#b08968",
    "#d64541",
    "#9aa62b",
    "#7d8590",
)
_STYLES = tuple((colour, marker) for marker, colour in product(("o", "^"), _COLOURS))
_OTHER = ("#a0a4aa", ".")

_NAMED_DIMENSIONS = 20  # with more, the numbers below the bars would overlap
_NAMED_ON_PLANE = 10  # with more, the names inside the cloud would overlap
# Width of a letter and height of a line of these names, measured by the plane's width.
_LETTER, _LINE = 0.025, 0.06
_LONGEST_NAME = 18  # characters of a label in the legend


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs.

    Attributes:
        title: what it is, with its unit.
        epochs: the numbers of the epochs.
        training: a value an epoch; NaN leaves a gap.
        validation: likewise, or None when nothing was held out.
    """

    title: str
    epochs: Sequence[float]
    training: Sequence[float]
    validation: Sequence[float] | None


_TITLES = {
    "elbo": "ELBO, nats (higher is better)",
    "iwae": "Importance-weighted bound, nats (higher is better)",
    "reconstruction": "Reconstruction, nats",
    "kl": "KL divergence, nats",
    "loss": "Loss, as minimised",
    "beta": "β, weight of the KL term",
}


def curves(metrics: Mapping[str, Sequence[float]]) -> list[Curve]:
    """Pick the quantities worth a chart from the columns of metrics.csv.

    A β that never changes is no curve and is left out.
    """
    first = next(iter(metrics.values()))
    epochs = metrics.get("epoch", range(1, len(first) + 1))
    found = []
    for column, title in _TITLES.items():
        if column not in metrics or (column == "beta" and len(set(metrics[column])) == 1):
            continue
        found.append(Curve(title, epochs, metrics[column], metrics.get(f"val_{column}")))
    return found


def describe_curve(curve: Curve) -> str:
    """What a curve shows, in a sentence: where it starts and where it ends."""
    parts = [_course("training", curve.training)]
    if curve.validation is not None:
        parts.append(_course("validation", curve.validation))
    count = len(curve.epochs)
    return f"{curve.title}, over {count} epoch{'' if count == 1 else 's'}: {'; '.join(parts)}."


def _course(name: str, values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{name} {values[0]:.4g}"
    return f"{name} from {values[0]:.4g} to {values[-1]:.4g}"


def losses(shown: Sequence[Curve]) -> Figure:
    """One panel a curve, at most two side by side."""
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, curve in zip(panels, shown, strict=False):
            _draw_curve(axes, curve)
        for axes in panels[len(shown) :]:
            axes.remove()
    return figure


def _draw_curve(axes: Axes, curve: Curve) -> None:
    # Markers show every epoch while they can be told apart, and a lone epoch at all.
    marker = 4.5 if len(curve.epochs) <= 30 else 0.0
    axes.plot(curve.epochs, curve.training, "o-", color=ACCENT, markersize=marker, label="training")
    if curve.validation is not None:
        axes.plot(
            curve.epochs,
            curve.validation,
            "s--",
            color=SECOND,
            markersize=marker,
            markerfacecolor=PAPER,
            label="validation",
        )
        axes.legend(loc="best", handlelength=2.6)
    axes.set_title(curve.title)
    axes.set_xlabel("epoch")
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if len(curve.epochs) == 1:
        only = curve.epochs[0]
        axes.set_xlim(only - 1, only + 1)
        axes.set_xticks([only], [f"{only:g}"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))


def kl_per_dimension(kl: Sequence[float], active: Sequence[int] | None) -> Figure:
    """One bar a latent dimension, the most informative first.

    Args:
        kl: (d,) the KL divergence of each dimension, in nats, averaged over the images.
        active: the numbers of the active dimensions, counted from 0; None when it is not known
            which are. Inactive ones are drawn grey with a cross.
    """
    values = np.asarray(kl, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(len(order))
    is_active = np.isin(order, range(len(order)) if active is None else list(active))
    with style():
        figure = Figure(figsize=(4.8, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.bar(
            ranks[is_active],
            values[order[is_active]],
            width=0.74,
            color=ACCENT,
            label=f"active ({is_active.sum()})",
        )
        if not is_active.all():
            inactive = values[order[~is_active]]
            axes.bar(ranks[~is_active], inactive, width=0.74, color=MUTED)
            size = 5.5 if len(order) <= _NAMED_DIMENSIONS else 3.5
            # Above the bar by a little more than half a cross, however low the bar is.
            above = ScaledTranslation(0.0, size / 72, figure.dpi_scale_trans)
            axes.plot(
                ranks[~is_active],
                inactive,
                linestyle="none",
                marker="x",
                markersize=size,
                color=MUTED,
                transform=axes.transData + above,
                label=f"inactive ({(~is_active).sum()})",
            )
        if active is not None:
            handles, titles = axes.get_legend_handles_labels()
            by_title = sorted(zip(titles, handles, strict=True), key=lambda entry: entry[0])
            axes.legend(
                [handle for _, handle in by_title],
                [title for title, _ in by_title],
                loc="upper right",
                handlelength=1.2,
            )
        axes.set_ylabel("KL divergence, nats")
        axes.grid(visible=False, axis="x")
        axes.set_xlim(-0.8, max(len(order), 6) - 0.2)
        axes.set_ylim(bottom=0.0)
        if len(order) <= _NAMED_DIMENSIONS:
            axes.set_xlabel("latent dimension, the most informative first")
            axes.set_xticks(ranks, [str(index) for index in order])
            axes.tick_params(axis="x", length=0)
        else:
            axes.set_xlabel(f"rank among {len(order)} latent dimensions")
            axes.set_xticks(
                [0, *range(9, len(order), 10)], ["1", *map(str, range(10, len(order) + 1, 10))]
            )
    return figure


def latent_plane(
    means: np.ndarray, labels: np.ndarray | None, names: Sequence[str] | None
) -> Figure:
    """The latent means of many images, coloured by label.

    Up to 20 labels have a colour and marker of their own; of more, the 20 most frequent have,
    and the others are drawn grey. One latent dimension is shown as a histogram.

    Args:
        means: (m, d) posterior means, projected by `project`.
        labels: (m,) integers, or None.
        names: the name of label 0, 1, ...; None names each by its number.

    Raises:
        DataError: the means cannot be projected, or there is not one label for every mean.
    """
    projection = project(means)
    groups = _groups(len(projection.points), labels, names)
    longest = max(len(group.name) for group in groups)
    columns = balanced_columns(len(groups), max(1, 58 // (longest + 4)))
    # The legend lies below the plane and must not take its room.
    height = 4.1 + 0.2 * -(-len(groups) // columns)
    with style():
        figure = Figure(figsize=(4.8, height), layout="constrained")
        axes = figure.subplots()
        if len(projection.axes) == 1:
            _draw_histogram(axes, projection, groups)
        else:
            _draw_scatter(axes, projection, groups)
        if labels is not None:
            handles = [
                axes.plot([], [], linestyle="none", marker=group.marker, color=group.colour)[0]
                for group in groups
            ]
            figure.legend(
                handles,
                [group.name for group in groups],
                loc="outside lower center",
                ncols=columns,
                handletextpad=0.1,
                columnspacing=1.0,
            )
    return figure


@dataclass(frozen=True)
class _Group:
    """Points that are drawn alike: their name, their positions, and how they look."""

    name: str
    members: np.ndarray
    colour: str
    marker: str


def _groups(count: int, labels: np.ndarray | None, names: Sequence[str] | None) -> list[_Group]:
    if labels is None:
        return [_Group("", np.arange(count), ACCENT, "o")]
    if labels.shape != (count,):
        raise DataError(
            f"Expected one label for each of {count} latent means, found labels of shape "
            f"{labels.shape}."
        )
    found, frequencies = np.unique(labels, return_counts=True)
    kept = np.sort(found[np.argsort(-frequencies, kind="stable")[: len(_STYLES)]])
    groups = [
        _Group(_label_name(label, names), np.flatnonzero(labels == label), colour, marker)
        for label, (colour, marker) in zip(kept, _STYLES, strict=False)
    ]
    if len(found) > len(kept):
        others = np.flatnonzero(~np.isin(labels, kept))
        groups.append(_Group(f"{len(found) - len(kept)} others", others, *_OTHER))
    return groups


def _label_name(label: int, names: Sequence[str] | None) -> str:
    if names is None or not 0 <= label < len(names):
        return str(label)
    name = str(names[label])
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _draw_scatter(axes: Axes, projection: Projection, groups: Sequence[_Group]) -> None:
    points = projection.points
    # Fewer points may be larger: the ink on the page stays about the same.
    size = float(np.clip(12_000 / len(points), 4.0, 22.0))
    for group in reversed(groups):  # the grey points of all others lie below
        members = points[group.members]
        axes.scatter(
            members[:, 0],
            members[:, 1],
            s=size,
            marker=group.marker,
            color=group.colour,
            alpha=0.7,
            linewidths=0,
            rasterized=True,  # thousands of vector points would make the page heavy
        )
    if 1 < len(groups) <= _NAMED_ON_PLANE:
        for name, centre in _names_apart(points, groups):
            axes.annotate(
                name,
                centre,
                ha="center",
                va="center",
                fontsize=11.5,
                fontweight="bold",
                color=INK,
                path_effects=[patheffects.withStroke(linewidth=3, foreground=PAPER)],
            )
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel(projection.axes[1])
    axes.set_aspect("equal", adjustable="datalim")


def _names_apart(
    points: np.ndarray, groups: Sequence[_Group]
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Names, each in the midst of its group, where they do not hide one that stands there already.

    The legend has all of them.
    """
    span = float(np.ptp(points, axis=0).max())
    written: list[tuple[str, tuple[float, float]]] = []
    for group in groups:
        x, y = map(float, np.median(points[group.members], axis=0))
        hidden = any(
            abs(x - there[0]) < 0.5 * _LETTER * span * (len(group.name) + len(name) + 1)
            and abs(y - there[1]) < _LINE * span
            for name, there in written
        )
        if not hidden:
            written.append((group.name, (x, y)))
            yield written[-1]


def _draw_histogram(axes: Axes, projection: Projection, groups: Sequence[_Group]) -> None:
    values = projection.points[:, 0]
    bins = np.histogram_bin_edges(values, bins=min(40, max(10, math.isqrt(len(values)))))
    axes.hist(
        [values[group.members] for group in groups],
        bins=bins.tolist(),
        stacked=True,
        color=[group.colour for group in groups],
    )
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel("images")
