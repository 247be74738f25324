"""Formats findings for other programs: JSON, GitHub annotations, SARIF 2.1.0."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kelbo
from kelbo.clinic.doctor.rule import Finding, Rule
from kelbo.clinic.doctor.source import Skipped

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SPECIFICATION = "2.1.0"


def location(path: str, finding: Finding) -> str:
    """`file:line:column`; in a notebook `file:cell 3:line:column`."""
    place = finding.place
    if place is None:
        return path
    cell = f":cell {place.cell}" if place.cell is not None else ""
    return f"{path}{cell}:{place.line}:{place.column}"


def unexamined(without_keras: Sequence[str], files: int) -> str:
    """A sentence about the files in which there was nothing to examine; empty if there are none.

    Args:
        without_keras: the files that mention neither Keras nor TensorFlow.
        files: how many were read.
    """
    if not without_keras:
        return ""
    if len(without_keras) == 1:
        (path,) = without_keras
        return f"{path} mentions neither Keras nor TensorFlow: nothing in it was examined."
    count = f"{len(without_keras):,} of {files:,} files"
    return f"{count} mention neither Keras nor TensorFlow: nothing in them was examined."


def as_json(
    findings: Sequence[tuple[str, Finding]],
    skipped: Sequence[Skipped],
    files: int,
    without_keras: Sequence[str],
) -> dict[str, Any]:
    """All results as one object.

    Args:
        findings: each with the name of its file.
        skipped: what was not read.
        files: how many files were read.
        without_keras: those of them that mention neither Keras nor TensorFlow.
    """
    return {
        "findings": [_finding(path, finding) for path, finding in findings],
        "skipped": [{"path": skip.path, "reason": skip.reason} for skip in skipped],
        "files": files,
        "without_keras": list(without_keras),
    }


def _finding(path: str, finding: Finding) -> dict[str, Any]:
    rule, place = finding.rule, finding.place
    return {
        "path": path,
        "cell": place and place.cell,
        "line": place and place.line,
        "column": place and place.column,
        "end_line": place and place.end_line,
        "end_column": place and place.end_column,
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity,
        "happens": finding.happens,
        "generations": dict(rule.generations),
        "why": rule.why,
        "repair": finding.repair,
        "recipe": rule.recipe or None,
        "see": rule.see,
    }


def as_github(path: str, finding: Finding) -> str:
    """One annotation: a workflow command that GitHub shows beside the line."""
    place = finding.place
    fields = {"file": path, "title": f"{finding.rule.code} {finding.rule.title}"}
    if place is not None and place.cell is None:
        fields |= {"line": str(place.line), "col": str(place.column)}
        fields |= {"endLine": str(place.end_line)}
    written = ",".join(f"{name}={_escaped(text, ':,')}" for name, text in fields.items())
    return f"::{finding.rule.severity} {written}::{_escaped(_text(path, finding))}"


def as_github_notice(note: str) -> str:
    """An annotation without a line."""
    return f"::notice::{_escaped(note)}"


def _text(path: str, finding: Finding) -> str:
    """The finding's text; in a notebook with the place, as its lines are not those of the file."""
    if finding.place is None or finding.place.cell is None:
        return finding.text
    return f"{location(path, finding)} {finding.text}"


def _escaped(text: str, more: str = "") -> str:
    """Escape a text for a GitHub workflow command: what would end one is written as in a URL."""
    for letter in "%\r\n" + more:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def as_sarif(
    findings: Sequence[tuple[str, Finding]],
    skipped: Sequence[Skipped],
    rules: Sequence[Rule],
    note: str = "",
) -> dict[str, Any]:
    """All results as SARIF 2.1.0.

    OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020.

    Args:
        findings: each with the name of its file.
        skipped: what was not read.
        rules: all that were applied.
        note: a further remark, or empty.
    """
    notices = [("warning", f"{skip.path} is skipped: {skip.reason}") for skip in skipped]
    notices += [("note", note)] if note else []
    places = {rule.code: place for place, rule in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": _SPECIFICATION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kelbo doctor",
                        "version": kelbo.__version__,
                        "rules": [_sarif_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": level, "message": {"text": text}} for level, text in notices
                        ],
                    }
                ],
                "results": [
                    {
                        "ruleId": finding.rule.code,
                        "ruleIndex": places[finding.rule.code],
                        "level": str(finding.rule.severity),
                        "message": {"text": _text(path, finding)},
                        "locations": [{"physicalLocation": _sarif_place(path, finding)}],
                    }
                    for path, finding in findings
                ],
            }
        ],
    }


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    sections = rule.sections()
    return {
        "id": rule.code,
        "name": type(rule).__name__,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": sections["What it does"]},
        "help": {
            "text": f"{sections['Why is this bad']}\n\n{sections['Use instead']}",
            "markdown": "\n\n".join(f"## {head}\n{text}" for head, text in sections.items()),
        },
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _sarif_place(path: str, finding: Finding) -> dict[str, Any]:
    uri = quote(Path(path).as_posix()) if not os.path.isabs(path) else Path(path).as_uri()
    found: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    place = finding.place
    # In a notebook, lines would refer to its JSON, which nobody reads.
    if place is not None and place.cell is None:
        found["region"] = {
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        }
    return found
