"""Reads a VAE script and says what is wrong with it; runs nothing of it and needs no backend.

`source` reads files, notebooks and folders. `interpreter` follows a script without running it, and
`program` is what became known of it. Each file of `rules` looks there for one thing that goes
wrong, and `examine` gathers what they find.
"""

from kelbo.clinic.doctor.examine import examine, select
from kelbo.clinic.doctor.rule import Finding, Place, Rule, Severity
from kelbo.clinic.doctor.rules import all_rules
from kelbo.clinic.doctor.source import Message, Skipped, Source, find, load, read_stream

__all__ = [
    "Finding",
    "Message",
    "Place",
    "Rule",
    "Severity",
    "Skipped",
    "Source",
    "all_rules",
    "examine",
    "find",
    "load",
    "read_stream",
    "select",
]
