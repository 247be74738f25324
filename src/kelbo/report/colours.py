"""The colours of the classes: each its own, and one that is called green is green."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

# Ten colours that keep apart in every common form of colour blindness and on light and dark
# ground; a second marker makes them twenty.
_BLUE, _ORANGE, _GREEN, _PINK, _VIOLET = "#3f7fc1", "#e58a1f", "#1f9e77", "#d4508f", "#8a63d2"
_CYAN, _BROWN, _RED, _OLIVE, _GREY = "#56b4e9", "#b08968", "#d64541", "#9aa62b", "#7d8590"
_YELLOW = "#d3ae12"  # too near to orange for a class of another name
COLOURS = (_BLUE, _ORANGE, _GREEN, _PINK, _VIOLET, _CYAN, _BROWN, _RED, _OLIVE, _GREY)
MARKERS = {"o": "●", "^": "▲"}

_WORDS = {
    "blue": _BLUE,
    "orange": _ORANGE,
    "green": _GREEN,
    "pink": _PINK,
    "magenta": _PINK,
    "purple": _VIOLET,
    "violet": _VIOLET,
    "cyan": _CYAN,
    "turquoise": _CYAN,
    "brown": _BROWN,
    "red": _RED,
    "olive": _OLIVE,
    "grey": _GREY,
    "gray": _GREY,
    "yellow": _YELLOW,
}


@dataclass(frozen=True)
class Look:
    """How the points of one class are drawn."""

    colour: str
    marker: str


MOST_LOOKS = len(COLOURS) * len(MARKERS)


def looks(names: Sequence[str]) -> list[Look]:
    """A look of its own for each class, at most MOST_LOOKS of them.

    A class whose name has a colour word gets that colour; the others take what nobody is called.
    """
    asked = [_colour_word(name) for name in names]
    free = [Look(colour, marker) for marker, colour in product(MARKERS, COLOURS)]
    free += [Look(_YELLOW, marker) for marker in MARKERS if _YELLOW in asked]
    chosen: dict[int, Look] = {}
    for index, colour in enumerate(asked):
        match = next((look for look in free if look.colour == colour), None)
        if match is not None:
            free.remove(match)
            chosen[index] = match
    free.sort(key=lambda look: look.colour in asked)  # stable: these are taken last
    for index in range(len(names)):
        if index not in chosen:
            chosen[index] = free.pop(0)
    return [chosen[index] for index in range(len(names))]


def _colour_word(name: str) -> str | None:
    """The colour that a name speaks of: that of its last colour word, as in `yellow-green`."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((_WORDS[word] for word in reversed(words) if word in _WORDS), None)
