"""Finds the explanations that fit a text."""

from typing import NamedTuple

from kelbo.clinic.explain.evidence import Evidence
from kelbo.clinic.explain.explanation import Explanation
from kelbo.clinic.explain.table import EXPLANATIONS


class _Find(NamedTuple):
    """An explanation that fits, and its place; the later fields break ties."""

    passage: int
    specific: bool
    start: int
    end: int
    explanation: Explanation

    @property
    def rank(self) -> tuple[int, bool, int, int]:
        return self[:4]

    def overlaps(self, other: "_Find") -> bool:
        return self.passage == other.passage and self.start < other.end and other.start < self.end


def explain(text: str) -> list[Explanation]:
    """Find what an error message, a traceback or a training log means.

    Only the end of a long text is read. Each family of errors is reported once, and each stretch of
    the text is explained once.

    Args:
        text: anything; never raises.

    Returns:
        The explanations that fit, best first: the last exception counts before what led to it, and
        an explanation that matches the traceback before one that matches the message alone. Empty
        if nothing fits.
    """
    evidence = Evidence.read(text)
    best: list[_Find] = []
    for found in sorted(_search(evidence), key=lambda found: found.rank, reverse=True):
        families = {other.explanation.family for other in best}
        if found.explanation.family not in families and not any(map(found.overlaps, best)):
            best.append(found)
    return [found.explanation for found in best]


def _search(evidence: Evidence) -> list[_Find]:
    finds = []
    for explanation in EXPLANATIONS:
        for sign in explanation.signs:
            for number, passage in enumerate(evidence.passages):
                if place := sign.find(passage):
                    specific = bool(sign.inside)
                    finds.append(_Find(number, specific, place.start(), place.end(), explanation))
        # An exception tells more than the figures that were printed before it.
        if explanation.figures and explanation.figures(evidence.figures):
            finds.append(_Find(-1, False, 0, 0, explanation))
    return finds
