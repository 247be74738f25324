"""The charts of a report: curves over the epochs, and the KL of each latent dimension."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from kelbo.evaluation.figures import FIGURES
from kelbo.report.render import ACCENT, MUTED, PAPER, SECOND, style
from kelbo.report.words import readable

# Inches. A chart is drawn for the width of the page's pictures, and once more for half of it, which
# is the width of a phone too; scaled to these its text is as large as the page's.
WIDE, NARROW = 7.9, 3.8

_NAMED_DIMENSIONS = 20  # with more, the numbers below the bars would overlap


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
    **{figure.logged: f"{figure.label}, {figure.unit}" for figure in FIGURES if figure.logged},
    "loss": "Loss, as minimised",
    "beta": "β, weight of the KL term",
}
_NO_TERMS = {"epoch", "seconds", "samples_per_second"}


def curves(metrics: Mapping[str, Sequence[float]]) -> list[Curve]:
    """Pick the quantities worth a chart from the columns of metrics.csv, the known ones first.

    A term of another objective has a curve too. One that never changes, as a fixed β, has none.
    """
    first = next(iter(metrics.values()))
    epochs = metrics.get("epoch", range(1, len(first) + 1))
    terms = [name for name in metrics if name not in _NO_TERMS and not name.startswith("val_")]
    others = [name for name in terms if name not in _TITLES]
    found = []
    for name in [*_TITLES, *others]:
        may_be_fixed = name in (*others, "beta")
        if name not in metrics or (may_be_fixed and len(set(metrics[name])) == 1):
            continue
        title = _TITLES.get(name, readable(name))
        found.append(Curve(title, epochs, metrics[name], metrics.get(f"val_{name}")))
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


def losses(shown: Sequence[Curve], width: float = WIDE) -> Figure:
    """One panel a curve, two side by side; of an odd number the first has the whole width."""
    columns = min(2, len(shown)) if width == WIDE else 1
    alone = len(shown) % columns
    layout: list[Any] = [[0] * columns] if alone else []
    layout += [list(range(start, start + columns)) for start in range(alone, len(shown), columns)]
    with style():
        figure = Figure(figsize=(width, 2.4 * len(layout)), layout="constrained")
        panels = figure.subplot_mosaic(layout)
        for index, curve in enumerate(shown):
            _draw_curve(panels[index], curve)
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


def kl_per_dimension(
    kl: Sequence[float], active: Sequence[int] | None, width: float = WIDE
) -> Figure:
    """One bar a latent dimension, the most informative first.

    Args:
        kl: (d,) the KL divergence of each dimension, in nats, averaged over the images.
        active: the numbers of the active dimensions, counted from 0; None when it is not known
            which are. Inactive ones are drawn grey with a cross.
        width: of the chart, in inches.
    """
    values = np.asarray(kl, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(len(order))
    is_active = np.isin(order, range(len(order)) if active is None else list(active))
    with style():
        figure = Figure(figsize=(width, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.bar(ranks[is_active], values[order[is_active]], width=0.74, color=ACCENT)
        keys: list[Artist] = [Patch(color=ACCENT)]
        if not is_active.all():
            inactive = values[order[~is_active]]
            axes.bar(ranks[~is_active], inactive, width=0.74, color=MUTED)
            size = 5.5 if len(order) <= _NAMED_DIMENSIONS else 3.5
            # Above the bar by a little more than half a cross, however low the bar is.
            above = ScaledTranslation(0.0, size / 72, figure.dpi_scale_trans)
            keys += axes.plot(
                ranks[~is_active],
                inactive,
                linestyle="none",
                marker="x",
                markersize=size,
                color=MUTED,
                transform=axes.transData + above,
            )
        if active is not None:
            titles = [f"active ({is_active.sum()})", f"inactive ({(~is_active).sum()})"]
            axes.legend(
                keys,
                titles[: len(keys)],
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),  # above the bars, which may all be high
                ncols=2,
                handlelength=1.2,
            )
        axes.set_ylabel("KL divergence, nats")
        axes.grid(visible=False, axis="x")
        axes.set_xlim(-0.8, max(len(order), 6) - 0.2)
        axes.set_ylim(0.0, 1.12 * max(values.max(), np.finfo("float32").tiny))  # room for a cross
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
