"""What every rule has: its file, its headings, its words."""

import ast
import re
from pathlib import Path

import pytest

import kelbo.clinic.doctor.rules
from kelbo.clinic.doctor import Severity, all_rules
from kelbo.clinic.doctor.rule import HEADINGS

ROOT = Path(__file__).parents[3]
RULES = all_rules()
FOLDER = Path(kelbo.clinic.doctor.rules.__file__).parent


def test_one_rule_one_file():
    files = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]
    assert sorted(type(rule).__module__.rpartition(".")[2] for rule in RULES) == sorted(files)
    assert len({rule.code for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_all_its_parts(rule):
    assert re.fullmatch(r"KLB[1-5]\d\d", rule.code)
    assert rule.severity in Severity
    assert tuple(rule.sections()) == HEADINGS
    assert all(rule.sections().values())
    assert rule.title and not rule.title.endswith(".")
    assert rule.why.endswith(".")
    for _, what in rule.generations:
        assert what


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
@pytest.mark.parametrize("head", ["Example", "Use instead"])
def test_its_examples_are_python(rule, head):
    (code,) = re.findall(r"```python\n(.*?)```", rule.sections()[head], re.DOTALL)
    ast.parse(code)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.docs], ids=lambda rule: rule.code)
def test_the_pages_that_it_names_are_there(rule):
    page, _, place = rule.docs.partition(", ")
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    assert any(heading.lower().startswith(place) for heading in headings)
