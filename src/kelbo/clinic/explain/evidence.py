"""Takes the wrapping off a pasted text: colours, quotes, margins, line breaks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# How many characters are read, from the end: the exception stands last.
LIMIT = 256 * 1024

# A colour as the terminal gets it, as a log shows it, or as a browser leaves it when copied.
_COLOUR = re.compile(r"(?:\x1b|\\x1b|\\u001b|\\033)?\[\d{1,3}(?:;\d{1,3}){0,4}m")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
# The margin of an e-mail, a comment, a pytest report or a box drawn around a traceback.
_MARGIN = re.compile(r"^[ \t>|#\u2500-\u257f]+(?:E(?=[ \t]))?|^E(?=[ \t])", re.MULTILINE)
# Line breaks of a text that was printed as the representation of a string.
_ESCAPED_BREAK = re.compile(r"\\[nrt]")
# Quotation marks, and what boxes and progress bars are drawn with.
_QUOTATION = re.compile("[`'\"\\\\\u2018\u2019\u201c\u201d\u2500-\u257f]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

_TRACEBACK = "Traceback(mostrecentcalllast)"
# `kl_loss: 4.2e-07`, as Keras prints it.
_FIGURE = re.compile(
    r"(?<![\w.])([A-Za-z_]\w{0,60})\s?[:=]\s?([-+]?(?:nan|inf|\d{1,20}(?:\.\d{0,20})?(?:e[-+]?\d{1,3})?))"
    r"(?!\w|\.\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Evidence:
    """A text, ready to be searched.

    Args:
        passages: its tracebacks, in order, each up to and including its message, without white
            space and quotation marks. The first passage is what stands before the first traceback.
        figures: the last value of every figure in a training log, by name.
    """

    passages: tuple[str, ...]
    figures: Mapping[str, float]

    @classmethod
    def read(cls, text: str) -> "Evidence":
        """Take the wrapping off a text of any length and content.

        Args:
            text: a message, a traceback, a training log, or all at once.
        """
        text = _COLOUR.sub("", text[-LIMIT:])
        text = _ESCAPE.sub("", text)
        text = _CONTROL.sub("", text.replace("\b", " ").replace("\r", "\n"))
        text = _MARGIN.sub(" ", text)
        text = _QUOTATION.sub("", _ESCAPED_BREAK.sub(" ", text))
        words = text.split()
        figures = {name: float(value) for name, value in _FIGURE.findall(" ".join(words)) if value}
        return cls(tuple("".join(words).split(_TRACEBACK)), figures)
