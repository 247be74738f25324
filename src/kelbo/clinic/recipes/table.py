"""The table: recipe x environment x mode as Markdown, HTML or JSON, from results alone."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import jinja2

from kelbo.clinic.recipes.catalogue import CATALOGUE, Recipe
from kelbo.clinic.recipes.environments import ENVIRONMENTS, MODES, Environment
from kelbo.clinic.recipes.history import DEFAULT, Change
from kelbo.clinic.recipes.matrix import Matrix, Trial
from kelbo.clinic.recipes.verdict import FAILS, MARKS, WRONGLY

_TITLES = {
    "python": "Python",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "torch": "PyTorch",
    "keras": "Keras",
    "numpy": "NumPy",
}

# In a table a message has to fit on a line or two.
_LONGEST = 160

_MODES = {"on": "eager", "off": "eager execution disabled"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One environment of a table.

    Args:
        environment: the environment.
        versions: what was installed there, in words.
        cells: for each recipe the trials, one for each mode; None for a cell that was not measured.
    """

    environment: Environment
    versions: str
    cells: tuple[tuple[Trial | None, ...], ...]


@dataclasses.dataclass(frozen=True)
class Message:
    """What one script raised, and where.

    Args:
        verdict: the verdict on these trials.
        reason: the message.
        source: the line of the script that raised it.
        places: environments and modes, in words.
    """

    verdict: str
    reason: str
    source: str
    places: tuple[str, ...]


def rows(matrix: Matrix, recipes: Sequence[Recipe], kind: str) -> list[Row]:
    """A row for each environment of the table.

    Args:
        matrix: the results.
        recipes: the columns.
        kind: "recipe" or "repair".
    """
    return [
        Row(
            environment,
            _versions(matrix, environment),
            tuple(
                tuple(
                    matrix[recipe.name, kind, environment.name, mode] for mode in environment.modes
                )
                for recipe in recipes
            ),
        )
        for name, environment in ENVIRONMENTS.items()
    ]


def _versions(matrix: Matrix, environment: Environment) -> str:
    """The versions that a trial found there, in words."""
    for trial in matrix.trials:
        if trial.environment == environment.name and trial.versions:
            found = trial.versions
            return ", ".join(f"{_TITLES[key]} {found[key]}" for key in _TITLES if key in found)
    return "not available"


def messages(matrix: Matrix, recipe: Recipe, kind: str) -> list[Message]:
    """Every way in which a script went wrong, with the places where it did."""

    def cause(trial: Trial) -> tuple[str, str, str]:
        return trial.verdict, trial.reason, trial.error.get("source", "")

    trials = [
        trial
        for trial in matrix.trials
        if (trial.recipe, trial.script) == (recipe.name, kind) and trial.verdict in (WRONGLY, FAILS)
    ]
    grouped: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        grouped.setdefault(cause(trial), []).append(trial)
    return [Message(*key, places=tuple(_places(group))) for key, group in grouped.items()]


def _places(trials: Iterable[Trial]) -> list[str]:
    """Environments in words, with the mode if only one of several modes is meant."""
    found = []
    for name, group in itertools.groupby(trials, key=lambda trial: trial.environment):
        environment = ENVIRONMENTS.get(name)
        modes = [trial.mode for trial in group]
        title = environment.title if environment else name
        alone = environment is not None and len(environment.modes) == 1
        if alone or len(modes) == len(MODES):
            found.append(title)
        else:
            found.append(f"{title}, {_MODES[modes[0]]}")
    return found


def to_markdown(matrix: Matrix, history: Sequence[Change]) -> str:
    """The page docs/recipes.md."""
    return _render("table.md.jinja", matrix, history, autoescape=False)


def to_html(matrix: Matrix, history: Sequence[Change]) -> str:
    """One self-contained HTML page."""
    return _render("table.html.jinja", matrix, history, autoescape=True)


def to_json(matrix: Matrix, history: Sequence[Change]) -> str:
    """All results as JSON, for a program."""
    content = {
        **json.loads(matrix.to_json()),
        "history": [dataclasses.asdict(change) for change in history],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _render(name: str, matrix: Matrix, history: Sequence[Change], autoescape: bool) -> str:
    template = (files("kelbo.clinic.recipes") / "templates" / name).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(short=_short, cell=_cell, code=_code)
    recipes = list(CATALOGUE.values())
    repaired = [recipe for recipe in recipes if recipe.repair]
    dates = sorted({trial.date for trial in matrix.trials})
    return environment.from_string(template).render(
        recipes=recipes,
        repaired=repaired,
        recipe_rows=rows(matrix, recipes, "recipe"),
        repair_rows=rows(matrix, repaired, "repair"),
        messages={
            (recipe.name, script.kind): messages(matrix, recipe, script.kind)
            for recipe in recipes
            for script in recipe.scripts
        },
        history=history,
        counts=_counts(matrix),
        machine=matrix.machine,
        dates=" to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "never",
        marks=MARKS,
        modes={DEFAULT: "as released", "off": _MODES["off"]},
    )


def _counts(matrix: Matrix) -> dict[str, int]:
    return {verdict: sum(trial.verdict == verdict for trial in matrix.trials) for verdict in MARKS}


def _cell(trials: Sequence[Trial | None]) -> str:
    """The marks of a cell, one for each mode."""
    return " / ".join(MARKS[trial.verdict] if trial else "?" for trial in trials)


def _code(text: Any) -> str:
    """A message as Markdown's code, in which nothing but a backtick means anything."""
    return "`" + _short(text).replace("`", "'") + "`"


def _short(text: Any) -> str:
    """A message, cut to a length that fits."""
    text = str(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4].rsplit(" ", 1)[0] + " ..."
