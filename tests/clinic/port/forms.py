"""The table of forms in docs/port.md: `python -m tests.clinic.port.forms docs/port.md`.

Each row is a script of the tests, ported here and now. The tests run what becomes of it.
"""

import ast
import sys
from pathlib import Path

from kelbo.clinic.doctor import load
from kelbo.clinic.port import port
from kelbo.files import write_text
from tests.clinic.port.fixtures import BOOKS, SPELLINGS
from tests.processes import ROOT

BEGIN, END = "<!-- forms: made by `make docs` -->\n", "<!-- end of the forms -->\n"
RECIPES = ROOT / "tests/clinic/doctor/fixtures/recipes"
CATALOGUE = ROOT / "src/kelbo/clinic/recipes/catalogue"
NAMES = {path.name[0]: path.name.replace("-", " ") for path in CATALOGUE.glob("[1-5]-*")}


def table():
    """The table in Markdown."""
    rows = [
        (NAMES[path.stem[0]], path.stem[2:].replace("-", " "), path)
        for path in sorted(RECIPES.glob("[1-5]-*.py"))
    ]
    rows += [("of the books", first_sentence(path), path) for path in BOOKS]
    lines = ["| recipe | how it is written | what becomes of it | run |", "|---|---|---|:---:|"]
    for recipe, form, path in rows:
        run = "✓" * (path in [*BOOKS, *SPELLINGS])
        lines.append(f"| {recipe} | {form} | {outcome(path)} | {run} |")
    return "\n".join(lines) + "\n"


def first_sentence(path):
    return path.read_text().splitlines()[0].strip('"# .')


def outcome(path):
    """What becomes of a script, in a few words."""
    source = load(str(path))
    ported = port(source)
    if ported.left:
        return "; ".join(f"left: {left.reason.removesuffix('.')}" for left in ported.left)
    before = loss_of(source.tree)
    after = loss_of(ast.parse(ported.text))
    if after and after != before:
        return f"`compute_loss` returns `{after}`"
    return "names and imports" if ported.changed else "nothing to port"


def loss_of(tree):
    """What the compute_loss of a script returns; empty if it has none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "compute_loss":
            returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
            return "` or `".join(ast.unparse(value) for value in returned)
    return ""


def with_table(page):
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_text(place, with_table(place.read_text(encoding="utf-8")))
