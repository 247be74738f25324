"""The latent means in a plane: every class in its colour and named where it lies."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from kelbo.errors import DataError
from kelbo.report.charts import WIDE
from kelbo.report.colours import COLOURS, MARKERS, MOST_LOOKS, Look, looks
from kelbo.report.projection import Projection, project
from kelbo.report.render import ACCENT, INK, PAPER, style

_OTHERS = Look("#a0a4aa", ".")
_SIZES = (10.5, 8.5, 7.0, 5.5)  # points, of a name: the first with which all find room
_LARGE_NAMES = 10  # with more, no name has the largest size
_LONGEST_NAME = 18  # characters
_PADDING = 0.25  # around a name, in units of its size
_APART = 2.0  # points between two names


def latent_plane(
    means: np.ndarray, labels: np.ndarray | None, names: Sequence[str] | None, width: float = WIDE
) -> Figure:
    """The latent means of many images, coloured by label.

    Up to 20 labels have a colour and marker of their own and are named on the plot; of more, the 20
    most frequent are, and the others are drawn grey. One latent dimension is shown as a histogram.

    Args:
        means: (m, d) posterior means, projected by `project`.
        labels: (m,) integers, or None.
        names: the name of label 0, 1, ...; None names each by its number.
        width: of the chart, in inches.

    Raises:
        DataError: the means cannot be projected, or there is not one label for every mean.
    """
    projection = project(means)
    groups = _groups(len(projection.points), labels, names)
    with style():
        figure = Figure(figsize=(width, 5.2 if width == WIDE else 4.2), layout="constrained")
        axes = figure.subplots()
        if len(projection.axes) == 1:
            _draw_histogram(axes, projection, groups)
            if labels is not None:
                axes.legend(loc="upper right")
        else:
            _draw_scatter(axes, projection, groups)
            if labels is not None:
                _write_names(figure, axes, projection.points, groups)
    return figure


@dataclass(frozen=True)
class _Group:
    """Points that are drawn alike: their name, their positions, and how they look."""

    name: str
    members: np.ndarray
    look: Look


def _groups(count: int, labels: np.ndarray | None, names: Sequence[str] | None) -> list[_Group]:
    if labels is None:
        return [_Group("", np.arange(count), Look(ACCENT, "o"))]
    if labels.shape != (count,):
        raise DataError(
            f"Expected one label for each of {count} latent means, found labels of shape "
            f"{labels.shape}."
        )
    found, frequencies = np.unique(labels, return_counts=True)
    kept = np.sort(found[np.argsort(-frequencies, kind="stable")[:MOST_LOOKS]])
    titles = [_label_name(label, names) for label in kept]
    groups = [
        _Group(title, np.flatnonzero(labels == label), look)
        for title, label, look in zip(titles, kept, looks(titles), strict=True)
    ]
    if len(found) > len(kept):
        others = np.flatnonzero(~np.isin(labels, kept))
        groups.append(_Group(f"{len(found) - len(kept)} others", others, _OTHERS))
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
            marker=group.look.marker,
            color=group.look.colour,
            alpha=0.7,
            linewidths=0,
            rasterized=True,  # thousands of vector points would make the page heavy
        )
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel(projection.axes[1])
    axes.set_aspect("equal", adjustable="datalim")


def _write_names(figure: Figure, axes: Axes, points: np.ndarray, groups: Sequence[_Group]) -> None:
    """Write each name in the midst of its group, or as near as no other name is hidden.

    A line leads from a name that had to move to where its group is.
    """
    own = [group for group in groups if group.look is not _OTHERS]
    middles = [np.median(points[group.members], axis=0) for group in own]
    notes = [
        _name(axes, group, middle, with_marker=len(own) > len(COLOURS))
        for group, middle in zip(own, middles, strict=True)
    ]
    for group in groups[len(own) :]:
        where = axes.transAxes
        axes.text(0.99, 0.01, f"grey: {group.name}", transform=where, ha="right", va="bottom")
    figure.draw_without_rendering()  # only then are places and sizes known
    homes = axes.transData.transform(middles)
    for size in _SIZES if len(own) <= _LARGE_NAMES else _SIZES[1:]:
        for note in notes:
            note.set_fontsize(size)
        margin = (_APART + _PADDING * size) * figure.dpi / 72
        boxes = [note.get_window_extent().padded(margin) for note in notes]
        places = _places_apart(homes, boxes, axes.bbox)
        if places is not None:
            break
    else:  # so many and so long that some must hide others
        places = list(homes)
    for group, note, home, place in zip(own, notes, homes, places, strict=True):
        start, end = axes.transData.inverted().transform([home, place])
        note.set_position((end[0], end[1]))
        if not np.array_equal(home, place):
            axes.plot(*zip(start, end, strict=True), color=group.look.colour, linewidth=1.2)


def _name(axes: Axes, group: _Group, middle: np.ndarray, with_marker: bool) -> Text:
    # Of more classes than colours two share one, and their markers tell them apart.
    text = f"{MARKERS[group.look.marker]} {group.name}" if with_marker else group.name
    note = axes.text(
        middle[0],
        middle[1],
        text,
        ha="center",
        va="center",
        fontweight="bold",
        color=INK,
        bbox={
            "boxstyle": f"round,pad={_PADDING}",
            "facecolor": PAPER,
            "edgecolor": group.look.colour,
            "linewidth": 1.4,
        },
    )
    note.set_in_layout(False)
    return note


def _places_apart(
    homes: np.ndarray, boxes: Sequence[Bbox], inside: Bbox
) -> list[np.ndarray] | None:
    """A place for each box, as near to its home as the boxes before it allow; None without room."""
    places: list[np.ndarray] = []
    taken: list[Bbox] = []
    for home, box in zip(homes, boxes, strict=True):
        for place in _around(home, box.height / 3, max(inside.width, inside.height)):
            moved = box.translated(*(place - home))
            is_inside = inside.contains(*moved.min) and inside.contains(*moved.max)
            if is_inside and not any(moved.overlaps(other) for other in taken):
                places.append(place)
                taken.append(moved)
                break
        else:
            return None
    return places


def _around(home: np.ndarray, step: float, farthest: float) -> Iterator[np.ndarray]:
    """A point and then points on circles around it, the nearest first."""
    yield home
    for radius in np.arange(step, farthest, step):
        for angle in np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False):
            yield home + radius * np.array([math.cos(angle), math.sin(angle)])


def _draw_histogram(axes: Axes, projection: Projection, groups: Sequence[_Group]) -> None:
    values = projection.points[:, 0]
    bins = np.histogram_bin_edges(values, bins=min(40, max(10, math.isqrt(len(values)))))
    axes.hist(
        [values[group.members] for group in groups],
        bins=bins.tolist(),
        stacked=True,
        color=[group.look.colour for group in groups],
        label=[group.name for group in groups],
    )
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel("images")
