import html.parser
import json
import re

from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.environments import ENVIRONMENTS
from kelbo.clinic.recipes.history import DEFAULT, OFF, Change, Point
from kelbo.clinic.recipes.matrix import Matrix, cells
from kelbo.clinic.recipes.table import MARKS, messages, to_html, to_json, to_markdown
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, VERDICTS, WORKS, WRONGLY
from tests.clinic.recipes.support import BASELINE, RECIPE, REPAIR, trial

# Characters that mean something to Markdown, to its tables or to HTML.
MESSAGE = 'TypeError: a | b `c` <KerasTensor d> & *e* "f" \''
SOURCE = 'x = y[`0`] | <z> & "w"'
MACHINE = {"system": "Linux", "cores": 2}


def matrix(*trials):
    return Matrix(MACHINE, trials)


def everything():
    """A matrix with every cell of the table, the verdicts in turn."""
    wanted = cells(CATALOGUE.values(), ENVIRONMENTS.values(), ("on", "off"))
    return matrix(
        *(
            trial(
                cell.script,
                cell.environment.name,
                cell.mode,
                VERDICTS[number % 4],
                "" if number % 4 == 0 else f"reason {number}",
            )
            for number, cell in enumerate(wanted)
        )
    )


def change(before="works", after="fails", reason=MESSAGE, mode=DEFAULT, script="recipe"):
    earlier = Point("TensorFlow 2.0.0", before, "", "2026-11-23")
    later = Point("TensorFlow 2.1.0", after, reason, "2026-11-23")
    return Change(RECIPE.recipe, script, mode, earlier, later)


def table(text, heading):
    """The rows of the first Markdown table below a heading, by their first cell."""
    section = text.split(f"\n## {heading}\n")[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0].splitlines()
    parsed = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    assert len({len(row) for row in parsed}) == 1
    return {row[0]: row[1:] for row in parsed}


def test_every_cell_has_its_mark_where_its_environment_and_recipe_cross():
    stored = everything()
    text = to_markdown(stored, [])
    for heading, kind in (("The recipes", "recipe"), ("The repaired scripts", "repair")):
        rows = table(text, heading)
        numbers = rows["environment"]
        recipes = [r for r in CATALOGUE.values() if kind == "recipe" or r.repair]
        assert numbers == [recipe.number for recipe in recipes]
        for environment in ENVIRONMENTS.values():
            assert rows[environment.title] == [
                " / ".join(
                    MARKS[stored[recipe.name, kind, environment.name, mode].verdict]
                    for mode in environment.modes
                )
                for recipe in recipes
            ]


def test_a_cell_that_was_not_measured_is_a_question_mark_and_no_verdict():
    rows = table(to_markdown(matrix(trial(mode="off")), []), "The recipes")
    assert rows["TensorFlow 2.8.4"][:2] == ["? / ?", "? / ✓"]
    assert rows["Keras 3.15.1 on JAX"] == ["?"] * 9


def test_the_page_of_nothing_says_that_nothing_was_measured():
    assert "Measured never on Linux" in to_markdown(matrix(), [])
    assert "Measured never on Linux" in to_html(matrix(), [])


def test_counts_and_dates_are_those_of_the_matrix():
    text = to_markdown(
        matrix(
            trial(BASELINE, date="2026-11-24"),
            trial(RECIPE, verdict=FAILS, reason="x"),
            trial(REPAIR, verdict=NOT_AVAILABLE, reason="y"),
        ),
        [],
    )
    assert "1 cells work, 0 work wrongly, 1 fail, 1 are not available." in text
    assert "Measured 2026-11-23 to 2026-11-24 on Linux, 2 cores" in text


def test_versions_are_those_that_a_trial_found():
    versions = {"python": "3.10.1", "numpy": "1.26", "keras": "2.8.0", "tensorflow": "2.8.4"}
    found = matrix(trial(verdict=NOT_AVAILABLE, reason="x"), trial(REPAIR, versions=versions))
    row = table(to_markdown(found, []), "The environments")["TensorFlow 2.8.4"]
    assert row == ["`tf-2.8`", "Python 3.10.1, TensorFlow 2.8.4, Keras 2.8.0, NumPy 1.26"]


def test_the_same_message_is_told_once_with_its_places():
    found = matrix(
        *(
            trial(place=place, mode=mode, verdict=FAILS, reason="E: x", error={"source": "f()"})
            for place, mode in (
                ("tf-2.4", "on"),
                ("tf-2.4", "off"),
                ("tf-2.8", "off"),
                ("keras-3.15-jax", "on"),
                ("mine", "on"),
            )
        ),
        trial(place="tf-2.12", verdict=WRONGLY, reason="E: x"),
        trial(place="tf-2.15", verdict=WORKS),
        trial(place="tf-2.0", verdict=NOT_AVAILABLE, reason="no network"),
    )
    first, second = messages(found, CATALOGUE[RECIPE.recipe], "recipe")
    assert (first.verdict, first.reason, first.source) == (FAILS, "E: x", "f()")
    assert first.places == (
        "TensorFlow 2.4.4",
        "TensorFlow 2.8.4, eager execution disabled",
        "Keras 3.15.1 on JAX",
        "mine, eager",
    )
    assert (second.verdict, second.source) == (WRONGLY, "")
    assert messages(found, CATALOGUE[RECIPE.recipe], "repair") == []


FAILED = matrix(trial(verdict=FAILS, reason=MESSAGE, error={"source": SOURCE}))


def test_in_markdown_a_message_is_code_and_breaks_no_table():
    text = to_markdown(FAILED, [change()])
    code = MESSAGE.replace("`", "'")
    assert f"- fails: `{code}` at `{SOURCE.replace('`', chr(39))}`" in text
    row = table(text, "When it changed")["1-loss-closure"]
    assert row[-1] == f"fails: `{code}`".replace("|", "\\|")
    # Outside code nothing looks like a tag.
    assert not re.search(r"<\w", re.sub(r"`[^`\n]*`", "", text))


def test_a_long_message_is_cut_between_words():
    text = to_markdown(matrix(trial(verdict=FAILS, reason="word " * 100)), [])
    (found,) = re.findall(r"- fails: `(.*)`", text)
    assert re.fullmatch(r"(word )+\.\.\.", found)
    assert 150 < len(found) <= 160


def test_the_history_says_script_mode_and_both_releases():
    rows = table(
        to_markdown(matrix(), [change(mode=OFF, script="repair", reason="E: x")]),
        "When it changed",
    )
    assert rows["1-loss-closure, repaired"] == [
        "eager execution disabled",
        "TensorFlow 2.0.0",
        "works",
        "TensorFlow 2.1.0",
        "fails: `E: x`",
    ]


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order; keeps attributes and text."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_html_page_is_whole_and_needs_no_network():
    text = to_html(everything(), [change()])
    page = Page(text)
    names = {name for _, name, _ in page.attributes}
    assert not names & {"src", "href", "srcset", "onclick"}
    assert not re.search(r"https?:|url\(|@import|<script", text)


def test_the_html_page_has_a_mark_for_each_cell():
    stored = everything()
    page = Page(to_html(stored, []))
    marks = [value for tag, name, value in page.attributes if (tag, name) == ("span", "title")]
    assert len(marks) == len(stored.trials)
    for number, verdict in enumerate(VERDICTS[1:], 1):
        assert sum(mark.startswith(f"{verdict}: reason ") for mark in marks) == sum(
            trial.verdict == VERDICTS[number] for trial in stored.trials
        )
    assert "?" not in page.text.split("The repaired scripts")[0].split("The recipes\n")[1]


def test_in_html_a_message_is_text_and_nothing_else():
    page = Page(to_html(FAILED, [change()]))
    assert page.text.count(MESSAGE) == 2
    assert SOURCE in page.text
    titles = [value for _, name, value in page.attributes if name == "title"]
    assert any(MESSAGE in title for title in titles)


def strict(text):
    """Parsed as any other program would parse it, which knows no NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_json_is_the_matrix_and_the_history():
    stored = everything()
    content = strict(to_json(stored, [change()]))
    assert content["machine"] == MACHINE
    assert len(content["trials"]) == len(stored.trials)
    assert content["trials"][1]["verdict"] == WRONGLY
    assert content["history"][0]["after"]["reason"] == MESSAGE


def test_results_with_nan_of_an_older_kelbo_become_json_without():
    text = matrix(trial(measured={"losses": [float("nan"), 1.0]})).to_json()
    assert "NaN" in text
    content = strict(to_json(Matrix.from_json(text, "x"), []))
    assert content["trials"][0]["measured"]["losses"] == [None, 1.0]
