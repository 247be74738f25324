"""The pictures of a report.

Every function here writes one PNG file into a folder and returns the same picture for the page:
charts as SVG, which stays sharp and follows the page into dark mode, and images of the model as
PNG with clear gutters. What the run does not hold yields nothing and writes nothing.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kelbo.report import charts
from kelbo.report.charts import NARROW, WIDE
from kelbo.report.grid import CLEAR, full_rows, image_grid, pair_grid, save_grid, save_pairs
from kelbo.report.plane import latent_plane as draw_plane
from kelbo.report.projection import project
from kelbo.report.render import save_png, to_svg
from kelbo.report.words import nats

_MOST_PAIRS = 10  # side by side: a digit can still be made out on a phone
_MOST_SAMPLES = 8
_MOST_TRAVERSALS = 16  # more rows tell little more


@dataclass(frozen=True)
class Chart:
    """A chart inside the page.

    Attributes:
        narrow: for half the width of the pictures, and for a phone.
        wide: for their whole width, or None of a chart that has its half everywhere.
    """

    narrow: Markup
    wide: Markup | None = None


@dataclass(frozen=True)
class Picture:
    """An image inside the page.

    Attributes:
        source: a data URI.
        width: in pixels.
        height: in pixels.
        columns: how many images stand side by side.
        description: what it shows, for readers who cannot see it.
    """

    source: str
    width: int
    height: int
    columns: int
    description: str


@dataclass(frozen=True)
class Traversal:
    """What one latent dimension does to an image.

    Attributes:
        dimension: its number, counted from 0.
        kl: its KL divergence in nats as text, or None when it is not known.
        picture: the decoded images, one for each value of the dimension.
    """

    dimension: int
    kl: str | None
    picture: Picture


@dataclass(frozen=True)
class Plane:
    """The latent means.

    Attributes:
        chart: they in their plane.
        images: how many means are shown.
        dimensions: how many latent dimensions they have.
        labelled: whether they are coloured by label.
    """

    chart: Chart
    images: int
    dimensions: int
    labelled: bool


def losses(metrics: Mapping[str, Sequence[float]], folder: Path) -> list[Chart]:
    """The curves over the epochs, one chart a quantity; `losses.png` holds all of them.

    Charts stand two in a row; of an odd number the first has a row of its own.
    """
    curves = charts.curves(metrics) if metrics else []
    if not curves:
        return []
    save_png(charts.losses(curves), folder / "losses.png")
    odd = len(curves) % 2
    return [_curve(curve, index, wide=index < odd) for index, curve in enumerate(curves)]


def _curve(curve: charts.Curve, index: int, wide: bool) -> Chart:
    description = charts.describe_curve(curve)
    return _chart(lambda width: charts.losses([curve], width), f"curve-{index}", description, wide)


def _chart(
    draw: Callable[[float], Figure], name: str, description: str, wide: bool = True
) -> Chart:
    narrow = Markup(to_svg(draw(NARROW), name, description))
    return Chart(narrow, Markup(to_svg(draw(WIDE), f"{name}-wide", description)) if wide else None)


def pairs(arrays: Mapping[str, np.ndarray], folder: Path) -> Picture | None:
    """Originals above reconstructions, `reconstructions.png`."""
    if "originals" not in arrays or "reconstructions" not in arrays:
        return None
    count, columns = full_rows(len(arrays["originals"]), _MOST_PAIRS)
    originals, reconstructions = arrays["originals"][:count], arrays["reconstructions"][:count]
    save_pairs(folder / "reconstructions.png", originals, reconstructions, columns)
    picture = pair_grid(originals, reconstructions, columns, background=CLEAR)
    return embed(picture, columns, f"{count} test images, each above its reconstruction.")


def samples(arrays: Mapping[str, np.ndarray], folder: Path) -> Picture | None:
    """Images decoded from draws of the prior, `samples.png`."""
    if "samples" not in arrays:
        return None
    count, columns = full_rows(len(arrays["samples"]), _MOST_SAMPLES)
    images = arrays["samples"][:count]
    save_grid(folder / "samples.png", images, columns)
    picture = image_grid(images, columns, background=CLEAR)
    return embed(picture, columns, f"{count} images decoded from draws of the prior.")


def traversals(
    arrays: Mapping[str, np.ndarray], kl: Sequence[float] | None, folder: Path
) -> list[Traversal]:
    """One row a latent dimension, the 16 most informative first, `traversals.png`.

    Args:
        arrays: `traversals` (rows, steps, height, width, channels), `traversal_dimensions`
            (rows,) and `traversal_values` (steps,).
        kl: (d,) nats of each latent dimension, or None to keep the order of the rows.
        folder: where the PNG file goes.
    """
    if "traversals" not in arrays or len(arrays["traversals"]) == 0:
        return []
    rows = arrays["traversals"]
    dimensions = [int(dimension) for dimension in arrays["traversal_dimensions"]]
    order = list(range(len(rows)))
    if kl is not None:
        order.sort(key=lambda row: -kl[dimensions[row]])
    order, steps = order[:_MOST_TRAVERSALS], rows.shape[1]
    save_grid(folder / "traversals.png", rows[order].reshape(-1, *rows.shape[2:]), steps)

    first, last = arrays["traversal_values"][[0, -1]]
    shown = []
    for row in order:
        dimension = dimensions[row]
        description = (
            f"{steps} images decoded while latent dimension {dimension} "
            f"goes from {first:.2g} to {last:.2g}."
        )
        picture = embed(image_grid(rows[row], steps, background=CLEAR), steps, description)
        shown.append(Traversal(dimension, nats(kl[dimension]) if kl else None, picture))
    return shown


def latent_plane(arrays: Mapping[str, np.ndarray], folder: Path) -> Plane | None:
    """The latent means, coloured by label, `latent.png`."""
    if "latent_means" not in arrays:
        return None
    means, labels = arrays["latent_means"], arrays.get("latent_labels")
    names = arrays["label_names"].tolist() if "label_names" in arrays else None
    save_png(draw_plane(means, labels, names), folder / "latent.png")
    images, dimensions = means.shape
    axes = " and ".join(project(means).axes)
    description = f"The latent means of {images} images, drawn over {axes}."
    chart = _chart(lambda width: draw_plane(means, labels, names, width), "latent", description)
    return Plane(chart, images, dimensions, labels is not None)


def kl_per_dimension(evaluation: Mapping[str, Any], folder: Path) -> Chart | None:
    """The KL divergence of each latent dimension, `kl.png`."""
    kl = evaluation.get("kl_per_dimension")
    if not kl:
        return None
    active = evaluation.get("active_dimensions")
    save_png(charts.kl_per_dimension(kl, active), folder / "kl.png")
    description = (
        f"Bar chart of the KL divergence of {len(kl)} latent dimensions, "
        f"from {nats(max(kl))} down to {nats(min(kl))} nats."
    )
    if active is not None:
        description += f" {len(active)} are active."
    return _chart(lambda width: charts.kl_per_dimension(kl, active, width), "kl", description)


def embed(image: Image.Image, columns: int, description: str) -> Picture:
    """An image as part of the page."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/png;base64,{data}", image.width, image.height, columns, description)
