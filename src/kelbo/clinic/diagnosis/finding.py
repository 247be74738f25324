"""The result of a diagnosis: findings and figures, as text or as JSON."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The gravest first. A note is nothing to mend.
SEVERITIES = ("error", "warning", "note")

# Figures in nats per datum.
_IN_NATS = ("elbo", "reconstruction", "kl", "kl_per_dimension", "nats_from_z")
# The width of the column with the names of figures.
_NAMES = 22
# The most latent dimensions that are listed, and how many are shown of more.
_MOST_IN_ROW = 64
_FIRST_IN_ROW = 8


@dataclass(frozen=True)
class Finding:
    """One finding of a check.

    Attributes:
        name: such as "posterior-collapse"; it stays the same in every release.
        severity: "error": the model is broken; "warning": it will disappoint; "note": good to know.
        title: the fault, in one sentence without its full stop.
        meaning: the effect of the fault on the model, with figures.
        cure: the steps to try, in this order.
        figures: the figures behind the finding, in nats unless the name says otherwise.
    """

    name: str
    severity: str
    title: str
    meaning: str
    cure: str
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """Title and cure, for a log."""
        return f"{self.title}. {self.cure}"

    def to_dict(self) -> dict[str, Any]:
        """The finding, ready for JSON."""
        return {
            "name": self.name,
            "severity": self.severity,
            "title": self.title,
            "meaning": self.meaning,
            "cure": self.cure,
            "figures": self.figures,
        }


@dataclass(frozen=True)
class Diagnosis:
    """The result of `kelbo.diagnose`; print it to read the whole diagnosis.

    Attributes:
        subject: the model and the data, in one line.
        findings: the gravest first; empty if nothing is wrong.
        figures: the measured figures, named as in evaluation.json; in nats unless the name says
            otherwise.
        unmeasured: the name of each figure that could not be measured -> the reason.
        origin: the name of each part that had to be searched for -> what was taken for it.
    """

    subject: str
    findings: tuple[Finding, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that mean a broken model."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis, ready for JSON."""
        return {
            "subject": self.subject,
            "findings": [finding.to_dict() for finding in self.findings],
            "figures": dict(self.figures),
            "unmeasured": dict(self.unmeasured),
            "origin": dict(self.origin),
        }

    def __str__(self) -> str:
        return "\n".join(text for text, _ in self.lines())

    def lines(self, width: int | None = None) -> Iterator[tuple[str, str]]:
        """The diagnosis line by line, each with a severity: "" unless it is a finding's head.

        Args:
            width: longer lines are broken between words, and the rest is indented; None breaks no
                line.
        """

        def filled(text: str, severity: str = "", indent: int = 2) -> Iterator[tuple[str, str]]:
            rows = [text] if width is None else _fill(text, width, indent)
            yield from ((row, severity) for row in rows)

        yield from filled(self.subject)
        for part, what in self.origin.items():
            yield from filled(f"  {part + ':':<10} {what}", indent=13)
        yield from filled(self._verdict())
        for finding in self.findings:
            yield "", ""
            head = f"{finding.severity} {finding.name}: {finding.title}"
            yield from filled(head, finding.severity)
            yield from filled(f"  {finding.meaning}")
            yield from filled(f"  Try: {finding.cure}")
        rows = [(name, _with_unit(name, value)) for name, value in self.figures.items()]
        rows += [(name, f"not measured: {why}") for name, why in self.unmeasured.items()]
        for number, (name, text) in enumerate(rows):
            if number == 0:
                yield "", ""
            yield from filled(f"{name:<{_NAMES}} {text}", indent=_NAMES + 1)

    def _verdict(self) -> str:
        counts = {
            severity: sum(finding.severity == severity for finding in self.findings)
            for severity in SEVERITIES
        }
        found = [f"{n} {name}{'s' if n > 1 else ''}" for name, n in counts.items() if n]
        if found:
            return ", ".join(found)
        if self.unmeasured:
            return "Nothing wrong was found in what could be measured."
        return "Nothing is wrong."


def gravest_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """The findings sorted by severity; equals keep their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def in_row(values: Sequence[Any]) -> str:
    """The values, separated by commas; of a long list the first few and the number of all."""
    if len(values) > _MOST_IN_ROW:
        first = ", ".join(map(_in_text, values[:_FIRST_IN_ROW]))
        return f"{first}, ... ({len(values):,} in all)"
    return ", ".join(map(_in_text, values))


def _fill(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _with_unit(name: str, value: Any) -> str:
    return f"{_in_text(value)} nats" if name in _IN_NATS else _in_text(value)


def _in_text(value: Any) -> str:
    if isinstance(value, list):
        return in_row(value) or "none"
    # Adding 0 turns -0, such as a gradient of nothing, into 0.
    return f"{value + 0.0:.4g}" if isinstance(value, float) else str(value)
