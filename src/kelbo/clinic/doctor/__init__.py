"""Reads a VAE script and says what is wrong with it, without running it and without a backend.

`source` reads files, notebooks and folders. `interpreter` follows a script without running it, and
`program` holds what it learns. Each file of `rules` looks there for one kind of fault, and
`examine` gathers the findings.
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
