"""What a diagnosis says: findings, and the figures that they were read from."""

from dataclasses import dataclass, field
from typing import Any

# The gravest first. A note is nothing to mend.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        name: of the finding, as "posterior-collapse"; the same in every release.
        severity: "error": the model is broken; "warning": it will disappoint; "note": good to know.
        title: what is wrong, one sentence without its full stop.
        meaning: what that does to the model, with the figures.
        cure: what to try, in this order.
        figures: the figures that it was read from, in nats where the name does not say otherwise.
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
        """All of it, as JSON can hold it."""
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
    """What `kelbo.diagnose` returns; printed, it is the whole diagnosis.

    Attributes:
        subject: the model and the data, in one line.
        findings: the gravest first; empty where nothing is wrong.
        figures: what was measured, in nats where the name does not say otherwise, under the names
            of evaluation.json.
        unmeasured: what could not be measured, and why.
    """

    subject: str
    findings: tuple[Finding, ...]
    figures: dict[str, Any]
    unmeasured: dict[str, str]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that mean a broken model."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "subject": self.subject,
            "findings": [finding.to_dict() for finding in self.findings],
            "figures": self.figures,
            "unmeasured": self.unmeasured,
        }

    def __str__(self) -> str:
        parts = [f"{self.subject}\n{self._verdict()}"]
        for finding in self.findings:
            head = f"{finding.severity} {finding.name}: {finding.title}"
            parts.append(f"{head}\n  {finding.meaning}\n  Try: {finding.cure}")
        rows = [f"{name:<20} {_in_text(value)}" for name, value in self.figures.items()]
        rows += [f"{name:<20} not measured: {why}" for name, why in self.unmeasured.items()]
        return "\n\n".join([*parts, "\n".join(rows)])

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
    """The findings by severity, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def _in_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_in_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
