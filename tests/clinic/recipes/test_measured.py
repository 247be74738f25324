"""What was measured and committed belongs to this catalogue, and the pages are made of it."""

from pathlib import Path

import pytest

from kelbo.clinic.recipes import measured
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.environments import ENVIRONMENTS
from kelbo.clinic.recipes.matrix import cells
from kelbo.clinic.recipes.table import to_html, to_markdown


def test_the_committed_results_have_every_cell_of_the_table():
    stored = measured.matrix()
    wanted = [cell.key for cell in cells(CATALOGUE.values(), ENVIRONMENTS.values(), ("on", "off"))]
    assert [trial.key for trial in stored.trials] == wanted


def test_the_committed_results_come_from_this_catalogue():
    assert {change.recipe for change in measured.history()} <= set(CATALOGUE)


DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(("name", "make"), [("recipes.md", to_markdown), ("recipes.html", to_html)])
def test_the_pages_are_made_of_the_committed_results(name, make):
    path = DOCS / name
    text = path.read_text(encoding="utf-8") if path.exists() else None
    assert text == make(measured.matrix(), measured.history()), f"docs/{name}: run make docs"
