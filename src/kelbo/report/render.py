"""From a matplotlib figure to SVG inside a page or to a PNG file, the same bytes every time."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from kelbo.files import replacing

# The colours of a chart on paper. In a page each becomes the custom property of the same role,
# so that a chart follows the page into dark mode.
INK = "#1f2328"
MUTED = "#5c6470"
RULE = "#dcd8d0"
PAPER = "#fffefb"
ACCENT = "#2a5d9f"
SECOND = "#b4531a"

_ROLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
}

_SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.titlesize": 10.5,
    "figure.facecolor": PAPER,
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "kelbo",  # the same identifiers for the same figure
    "text.color": INK,
    "text.parse_math": False,  # a label may hold a dollar sign
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 9.0,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 9.0,
    "ytick.major.size": 0.0,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in kelbo's style inside the block, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an `<svg>` element for a page.

    Args:
        figure: what to draw.
        name: distinct for every chart of the page; it keeps their identifiers apart.
        description: what the chart shows, for readers who cannot see it.
    """
    stream = io.StringIO()
    with style():
        figure.savefig(
            stream,
            format="svg",
            dpi=180,  # of the parts that are rasterised
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    drawing = ElementTree.fromstring(stream.getvalue())
    view_box = drawing.attrib["viewBox"]
    _fit_for_page(drawing, name)
    drawing.attrib.clear()
    drawing.attrib.update({"role": "img", "aria-label": description, "viewBox": view_box})
    return ElementTree.tostring(drawing, encoding="unicode")


def _fit_for_page(element: ElementTree.Element, name: str) -> None:
    """Strip what a page must not inherit from a drawing; keep its identifiers apart by `name`."""
    for child in list(element):
        # The style sheet of an inline drawing would apply to the whole page.
        if child.tag.endswith(("}metadata", "}style")):
            element.remove(child)
        else:
            _fit_for_page(child, name)
    element.tag = element.tag.rpartition("}")[2]
    for attribute, value in list(element.attrib.items()):
        del element.attrib[attribute]
        attribute = attribute.rpartition("}")[2]
        if attribute == "id":
            value = f"{name}-{value}"
        elif attribute == "href" and value.startswith("#"):
            value = f"#{name}-{value[1:]}"
        elif attribute == "clip-path":
            value = value.replace("url(#", f"url(#{name}-")
        elif attribute == "style":
            value = re.sub(r"font-family: [^;]*;? ?", "", value)
            for colour, role in _ROLES.items():
                value = value.replace(colour, role)
        element.set(attribute, value)


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file, whole or not at all."""
    with style(), replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
