"""The history of a script: the exact releases in which its verdict changed, found by bisection."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from kelbo.clinic.recipes.catalogue import Script
from kelbo.clinic.recipes.environments import Environment
from kelbo.clinic.recipes.matrix import Cell, Trial
from kelbo.clinic.recipes.releases import LANDMARKS, RELEASES, between
from kelbo.clinic.recipes.verdict import NOT_AVAILABLE
from kelbo.errors import LabError

# As a release comes, or with eager execution switched off by the article's statement.
DEFAULT, OFF = "default", "off"


@dataclasses.dataclass(frozen=True)
class Point:
    """One release, and the verdict on the script there.

    Args:
        release: its title.
        verdict: one of `verdict.VERDICTS`.
        reason: the message; empty for "works".
        date: the day of the measurement.
    """

    release: str
    verdict: str
    reason: str
    date: str


@dataclasses.dataclass(frozen=True)
class Change:
    """Two neighbouring releases between which the verdict changed.

    Args:
        recipe: the name of the recipe.
        script: "recipe" or "repair".
        mode: "default" or "off".
        before: the last release with the old verdict.
        after: the first release with the new one.
        skipped: releases between the two that were not available.
    """

    recipe: str
    script: str
    mode: str
    before: Point
    after: Point
    skipped: tuple[str, ...] = ()

    @property
    def line(self) -> tuple[str, str, str]:
        """Recipe, kind of script and mode."""
        return (self.recipe, self.script, self.mode)


@dataclasses.dataclass(frozen=True)
class Line:
    """A script to follow through the releases.

    Args:
        script: a script of the catalogue.
        mode: `DEFAULT` or `OFF`.
    """

    script: Script
    mode: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Recipe, kind of script and mode."""
        return (self.script.recipe, self.script.kind, self.mode)

    def cell(self, release: Environment) -> Cell:
        """The cell in which the script is tried in a release."""
        return Cell(self.script, release, release.default_mode if self.mode == DEFAULT else OFF)


def find_changes(lines: Sequence[Line], run: Callable[[list[Cell]], list[Trial]]) -> list[Change]:
    """Every change of the verdict along the releases, found by bisection.

    All landmarks are tried first. Between two neighbours that differ, the releases are bisected,
    for all lines in step, so that each release is built once. A change that is undone between two
    landmarks is not seen.

    Args:
        lines: the scripts to follow, with their modes.
        run: measures cells, as `Lab.run` does.

    Raises:
        LabError: a script could be tried in fewer than two landmarks, so nothing is known of it.
    """
    tried = iter(run([line.cell(release) for release in LANDMARKS for line in lines]))
    known: dict[tuple[str, str, str], list[tuple[Environment, Point]]]
    known = {line.key: [] for line in lines}
    for release in LANDMARKS:
        for line in lines:
            point = _point(release, next(tried))
            if point.verdict != NOT_AVAILABLE:
                known[line.key].append((release, point))
    for line in lines:
        possible = [release for release in LANDMARKS if not line.script.lacks(release)]
        if len(known[line.key]) < min(2, len(possible)):
            raise LabError(
                f"The history of {line.script.name} is not known: of the {len(possible)} "
                f"environments that it begins with, {len(known[line.key])} were available. "
                "`kelbo recipes run` says what is wrong with the others. Nothing was saved."
            )
    searches = [
        _Search(line, before, after, between(earlier, later))
        for line in lines
        for (earlier, before), (later, after) in itertools.pairwise(known[line.key])
        if before.verdict != after.verdict
    ]
    while open_searches := [search for search in searches if search.candidates]:
        # The oldest release that is wanted, for each search that wants it.
        release = min((search.middle for search in open_searches), key=RELEASES.index)
        asking = [search for search in open_searches if search.middle == release]
        trials = run([search.line.cell(release) for search in asking])
        for search, trial in zip(asking, trials, strict=True):
            search.learn(_point(release, trial))
    return [search.change() for search in searches]


@dataclasses.dataclass
class _Search:
    """A bisection in progress."""

    line: Line
    before: Point
    after: Point
    candidates: list[Environment]

    @property
    def middle(self) -> Environment:
        return self.candidates[len(self.candidates) // 2]

    def learn(self, found: Point) -> None:
        """Narrow the search by the verdict in the middle."""
        middle = len(self.candidates) // 2
        if found.verdict == NOT_AVAILABLE:
            self.candidates.pop(middle)
        elif found.verdict == self.before.verdict:
            self.before, self.candidates = found, self.candidates[middle + 1 :]
        else:
            self.after, self.candidates = found, self.candidates[:middle]

    def change(self) -> Change:
        """The change that was found; releases that are left between the two were not available."""
        titles = [release.title for release in RELEASES]
        start, end = (titles.index(point.release) for point in (self.before, self.after))
        skipped = tuple(titles[start + 1 : end])
        return Change(*self.line.key, before=self.before, after=self.after, skipped=skipped)


def _point(release: Environment, trial: Trial) -> Point:
    return Point(release.title, trial.verdict, trial.reason, trial.date)


def merged(
    known: Sequence[Change], lines: Sequence[Line], changes: Sequence[Change]
) -> list[Change]:
    """A history in which the changes of these lines replace the old ones."""
    renewed = {line.key for line in lines}
    kept = [change for change in known if change.line not in renewed]
    return sorted([*kept, *changes], key=lambda change: change.line)  # stable: oldest first


def to_json(changes: Sequence[Change]) -> str:
    """The history as JSON, as it is committed."""
    return json.dumps([dataclasses.asdict(change) for change in changes], indent=1) + "\n"


def from_json(text: str, source: str) -> list[Change]:
    """Read what `to_json` wrote.

    Raises:
        LabError: the text is not such a history.
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
