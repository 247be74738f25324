import ast
import re
from collections import Counter

import pytest

from kelbo.clinic.explain import EXPLANATIONS, FAMILIES, explain
from kelbo.clinic.recipes.catalogue import CATALOGUE
from tests.clinic.explain.real import MESSAGES

each = pytest.mark.parametrize("explanation", EXPLANATIONS, ids=lambda e: e.name)


def test_names_are_unique():
    assert max(Counter(explanation.name for explanation in EXPLANATIONS).values()) == 1


def test_every_family_has_an_explanation():
    assert {explanation.family for explanation in EXPLANATIONS} == set(FAMILIES) == set("ABCDEFG")


@each
def test_its_own_symptom_is_recognised(explanation):
    assert [found.name for found in explain(explanation.symptom.message)] == [explanation.name]


@each
def test_a_real_message_stands_for_it(explanation):
    # Nobody could be asked for a log whose KL is 4e-7; its form is Keras's.
    names = {real.explanation for real in MESSAGES} | {"kl-collapsed"}
    assert explanation.name in names


@each
def test_it_is_complete(explanation):
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", explanation.name)
    for text in (explanation.happens, explanation.why, explanation.rule, explanation.repair):
        assert text.endswith((".", ".)"))
        assert text.isascii()
    assert not explanation.title.endswith(".")
    assert len(explanation.title) <= 72
    assert explanation.signs or explanation.figures
    assert bool(explanation.broken) and bool(explanation.repaired)


@each
def test_its_recipe_is_in_the_catalogue(explanation):
    if explanation.recipe is None:
        # No recipe is about numbers that overflow or about weights of the two terms.
        assert explanation.family in "EG"
        assert explanation.commands == []
    else:
        assert explanation.recipe in CATALOGUE
        assert explanation.commands[0] == f"kelbo recipes show {explanation.recipe}"


@each
def test_its_snippets_fit_a_terminal_and_are_python(explanation):
    for code in (explanation.broken, explanation.repaired):
        assert max(map(len, code.splitlines())) <= 76
        if not code.startswith("kelbo "):
            ast.parse(code)


@each
def test_its_patterns_stay_linear(explanation):
    for sign in explanation.signs:
        for pattern in (sign.message, sign.inside):
            assert not re.search(r"(?<!\\)[*+](?!Inf)", pattern), "gaps are bounded: {0,n}"
