"""One entry of the table: an error, what it means, and the way out."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kelbo.clinic.recipes.catalogue import CATALOGUE

# What people report, by symptom.
FAMILIES = {
    "A": "The KL term meets a symbolic tensor",
    "B": "No loss, a zero loss, no gradient",
    "C": "call, validation and predict",
    "D": "Removed names",
    "E": "Posterior collapse",
    "F": "Saving and loading",
    "G": "NaN",
}


@dataclass(frozen=True)
class Sign:
    """A pattern that identifies an error.

    Both patterns are regular expressions in verbose mode. They are written like the message, with
    its spaces and quotation marks, but are matched against a text that has neither
    (`kelbo.clinic.explain.evidence`), so that a message may be wrapped, quoted and indented.
    Gaps are bounded, which keeps the search linear.

    Args:
        message: a pattern that occurs in the message.
        inside: a pattern that must also occur in the traceback that ends in the message, for a
            message that means something only there.
    """

    message: str
    inside: str = ""

    def find(self, passage: str) -> re.Match[str] | None:
        """The last match of the message in a passage, or None."""
        if self.inside and not _compiled(self.inside).search(passage):
            return None
        found = None
        for found in _compiled(self.message).finditer(passage):  # noqa: B007
            pass
        return found


@dataclass(frozen=True)
class Symptom:
    """A message as it was really printed.

    Args:
        message: to the letter, perhaps without its end.
        printed_by: the versions that printed it.
    """

    message: str
    printed_by: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What an error means.

    Args:
        name: unique, in kebab case.
        family: a key of `FAMILIES`.
        title: one line.
        symptom: one message that this explains.
        signs: the patterns, any one of which identifies it.
        figures: whether the last values in a training log, by name, identify it.
        happens: what the user did, and the result.
        generations: what each generation of Keras does, if they differ: (generation, what).
        why: the cause.
        rule: what to observe from now on.
        repair: what to do, in words.
        broken: a few lines of code that fail this way; empty where the code is not to blame.
        repaired: the same lines, repaired.
        recipe: the name of the recipe that shows it, if one does.
        sources: where people reported it, such as "keras 19560".
    """

    name: str
    family: str
    title: str
    symptom: Symptom
    signs: tuple[Sign, ...] = ()
    figures: Callable[[Mapping[str, float]], bool] | None = None
    happens: str
    generations: tuple[tuple[str, str], ...] = ()
    why: str
    rule: str
    repair: str
    broken: str = ""
    repaired: str = ""
    recipe: str | None = None
    sources: tuple[str, ...] = ()

    @property
    def commands(self) -> list[str]:
        """The commands that show the recipe and its repaired version."""
        if self.recipe is None:
            return []
        show = f"kelbo recipes show {self.recipe}"
        return [show, f"{show} --repair"] if CATALOGUE[self.recipe].repair else [show]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub("[`'\"]", "", pattern), re.VERBOSE | re.DOTALL)
