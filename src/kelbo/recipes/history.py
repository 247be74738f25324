"""The history of a script: the exact releases in which its verdict changed, found by bisection."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from kelbo.errors import LabError
from kelbo.recipes.catalogue import Script
from kelbo.recipes.environments import Environment
from kelbo.recipes.matrix import Trial
from kelbo.recipes.releases import LANDMARKS, between
from kelbo.recipes.verdict import NOT_AVAILABLE

# As a release comes, or with eager execution switched off by the article's statement.
DEFAULT, OFF = "default", "off"


@dataclasses.dataclass(frozen=True)
class Point:
    """One release, and what became of the script there.

    Args:
        release: as the reader knows it.
        verdict: one of `verdict.VERDICTS`.
        reason: the message; empty for "works".
        date: when that was measured.
    """

    release: str
    verdict: str
    reason: str
    date: str


@dataclasses.dataclass(frozen=True)
class Change:
    """Two releases, one after the other, between which the verdict changed.

    Args:
        recipe: name of the recipe.
        script: "recipe" or "repair".
        mode: "default" or "off".
        before: the last release with the old verdict.
        after: the first release with the new one.
        skipped: releases between the two that could not be had.
    """

    recipe: str
    script: str
    mode: str
    before: Point
    after: Point
    skipped: tuple[str, ...] = ()


def find_changes(
    script: Script, mode: str, measure: Callable[[Environment, str], Trial]
) -> list[Change]:
    """Every change of the verdict along the line of releases.

    The landmarks are tried first, all of them; between two neighbours that differ, the releases
    are bisected. A change that is undone again between two landmarks is not seen.

    Args:
        script: of the catalogue.
        mode: `DEFAULT` or `OFF`.
        measure: from a release and "on" or "off" to the trial there.
    """

    def point(environment: Environment) -> tuple[Environment, Point]:
        eager = environment.default_mode if mode == DEFAULT else OFF
        trial = measure(environment, eager)
        return environment, Point(environment.title, trial.verdict, trial.reason, trial.date)

    known = [point(environment) for environment in LANDMARKS]
    known = [(environment, found) for environment, found in known if _known(found)]
    changes = []
    for (earlier, before), (later, after) in zip(known, known[1:], strict=False):
        if before.verdict == after.verdict:
            continue
        candidates = between(earlier, later)
        skipped = []
        # One change is looked for; of several, one is found.
        while candidates:
            middle = len(candidates) // 2
            _, found = point(candidates[middle])
            if not _known(found):
                skipped.append(candidates.pop(middle).title)
            elif found.verdict == before.verdict:
                before, candidates = found, candidates[middle + 1 :]
            else:
                after, candidates = found, candidates[:middle]
        changes.append(Change(script.recipe, script.kind, mode, before, after, tuple(skipped)))
    return changes


def _known(point: Point) -> bool:
    return point.verdict != NOT_AVAILABLE


def to_json(changes: Sequence[Change]) -> str:
    """As it is committed."""
    return json.dumps([dataclasses.asdict(change) for change in changes], indent=1) + "\n"


def from_json(text: str, source: str) -> list[Change]:
    """What `to_json` wrote.

    Raises:
        LabError: the text is something else.
    """
    try:
        return [_change(stored) for stored in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{source} holds no history of the recipes lab: {error}. "
            "Expected a file that `kelbo recipes bisect --save` wrote."
        ) from None


def _change(stored: dict[str, Any]) -> Change:
    points = {name: Point(**stored[name]) for name in ("before", "after")}
    return Change(**{**stored, **points, "skipped": tuple(stored["skipped"])})
