"""Applies the rules to a script."""

import dataclasses
from collections.abc import Sequence

from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.rule import Finding, Rule
from kelbo.clinic.doctor.rules import all_rules
from kelbo.clinic.doctor.source import Source
from kelbo.errors import unknown_name


def select(chosen: Sequence[str] = (), ignored: Sequence[str] = ()) -> list[Rule]:
    """The rules whose codes begin with one of `chosen` and with none of `ignored`.

    Args:
        chosen: codes or prefixes of codes, such as "KLB1"; empty for all.
        ignored: codes or prefixes of codes.

    Raises:
        UsageError: a prefix matches no code.
    """
    rules = all_rules()
    codes = [rule.code for rule in rules]
    chosen, ignored = ([p.strip().upper() for p in prefixes] for prefixes in (chosen, ignored))
    for prefix in (*chosen, *ignored):
        if not any(code.startswith(prefix) for code in codes):
            raise unknown_name("rule", prefix, codes)
    return [
        rule
        for rule in rules
        if rule.code.startswith(tuple(chosen) or "") and not rule.code.startswith(tuple(ignored))
    ]


def examine(source: Source, rules: Sequence[Rule] | None = None) -> list[Finding]:
    """The findings in a script, from its first line to its last.

    Args:
        source: the script.
        rules: the rules to apply; None for all.
    """
    if not source.is_of_keras:
        return []
    program = read(source.tree)
    found: dict[tuple[str, int, int], Finding] = {}
    for rule in all_rules() if rules is None else rules:
        for finding in rule.check(program):
            if rule.only_keras_3 and program.asks_for_keras_2:
                break
            finding = dataclasses.replace(finding, place=source.place(finding.node))
            key = rule.code, finding.node.lineno, finding.node.col_offset  # type: ignore
            if not _is_off(finding, source):
                found.setdefault(key, finding)
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[2], key[0]))]


def _is_off(finding: Finding, source: Source) -> bool:
    """Whether a noqa comment on its first or its last line turns it off."""
    lines = (finding.node.lineno, finding.node.end_lineno)  # type: ignore[attr-defined]
    codes = [source.noqa[line] for line in lines if line in source.noqa]
    return any(not off or finding.rule.code in off for off in codes)
