"""Findings for other programs."""

import dataclasses
import json
import re

import pytest

from kelbo.clinic.doctor import Skipped, all_rules, examine, load
from kelbo.clinic.doctor.formats import as_github, as_json, as_sarif, location
from tests.clinic.doctor.fixtures import FIXTURES

BROKEN = [fixture for fixture in FIXTURES if fixture.expected]
FOUND = [
    ("some folder/ä.py", finding)
    for fixture in BROKEN
    for finding in examine(load(str(fixture.path)))
]
SKIPPED = [Skipped("old.py", "it is written in Python 2: line 1.")]


def test_json_has_every_part():
    content = json.loads(json.dumps(as_json(FOUND, SKIPPED, len(BROKEN), ["gan.py"])))
    assert content["files"] == len(BROKEN)
    assert content["without_keras"] == ["gan.py"]
    assert content["skipped"] == [{"path": "old.py", "reason": SKIPPED[0].reason}]
    assert len(content["findings"]) == len(FOUND)
    for found in content["findings"]:
        assert all(found[key] for key in ("code", "title", "happens", "why", "repair", "see"))
        assert found["severity"] in ("error", "warning")
        assert (found["line"], found["column"]) <= (found["end_line"], found["end_column"])


def test_github_gets_one_line_for_each():
    for path, finding in FOUND:
        line = as_github(path, finding)
        assert re.fullmatch(r"::(error|warning) file=[^,:]+,title=[^,:]+(,\w+=\d+){3}::.+", line)


def test_what_would_end_a_command_of_github_is_escaped():
    (path, finding) = FOUND[0]
    line = as_github("a,b:c%\n.py", finding)
    assert "file=a%2Cb%3Ac%25%0A.py," in line


def test_sarif_is_what_the_standard_asks_for():
    """Section 3 of the standard: what is required, and how results refer to rules."""
    content = json.loads(json.dumps(as_sarif(FOUND, SKIPPED, all_rules(), "A note.")))
    assert content["version"] == "2.1.0"
    (run,) = content["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in all_rules()]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    assert len(run["results"]) == len(FOUND)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "some%20folder/%C3%A4.py"
        region = place["physicalLocation"]["region"]
        assert min(region.values()) >= 1
        assert region["endLine"] >= region["startLine"]
    (invocation,) = run["invocations"]
    skip, note = invocation["toolExecutionNotifications"]
    assert "old.py is skipped" in skip["message"]["text"]
    assert note == {"level": "note", "message": {"text": "A note."}}


def test_of_a_notebook_the_message_names_the_cell():
    path, finding = FOUND[0]
    inside = dataclasses.replace(finding, place=dataclasses.replace(finding.place, cell=3))
    where = f"some folder/ä.py:cell 3:{finding.place.line}:{finding.place.column} "
    (result,) = as_sarif([(path, inside)], [], all_rules())["runs"][0]["results"]
    assert result["message"]["text"] == where + finding.text
    assert "region" not in result["locations"][0]["physicalLocation"]
    command, message = as_github(path, inside).removeprefix("::").split("::")
    assert "line=" not in command
    assert message.startswith(where + finding.happens[:20])


@pytest.mark.parametrize("path", ["a.py", "folder/b.ipynb"])
def test_a_location_can_be_clicked(path):
    _, finding = FOUND[0]
    assert location(path, finding) == f"{path}:{finding.place.line}:{finding.place.column}"
