"""What a notebook has beside Python: magics, shell commands and questions for help."""

import ast
import re

from kelbo.clinic.doctor.syntax import parse

# Cell magics that are followed by Python.
_OF_PYTHON = re.compile(r"%%(time|timeit|capture|prun|memit)\b")
_MAGIC = re.compile(r"^(\s*)(?:(?:%{1,2}[a-zA-Z_]|!(?!=)|\?).*|[\w.]+\?{1,2}\s*)$")
# Magics that run the Python that follows them and their options.
_RUNS = re.compile(
    r"^(?P<indent>\s*)(?P<magic>%{1,2}(?:time|timeit|prun|memit)\s+(?:-[a-z]\s*\d*\s+)*)(?P<code>.+)$"
)
_ENVIRONMENT = re.compile(r"^(\s*)%(?:set_)?env\s+(\w+)(?:\s*=|\s).*$")
_ASSIGNED_MAGIC = re.compile(r"^(\s*[\w., ]+=\s*)[%!].*$")


def without_magics(cell: str) -> list[str]:
    """The lines of a cell as Python: a magic is `pass`, or the code that it runs.

    Lines that are Python stay as they are. All are empty if the cell is in another language.

    Args:
        cell: its source.
    """
    lines = re.split(r"\r\n|\r|\n", cell)
    if isinstance(parse(cell), ast.Module):
        return lines  # what looks like a magic stands in a string or a formula
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not _OF_PYTHON.match(first):
        return [""] * len(lines)
    goes_on = False
    for number, line in enumerate(lines):
        python = _RUNS.sub(_of_magic, line)
        python = _ENVIRONMENT.sub(r'\1__import__("os").environ["\2"] = ...', python)
        python = _ASSIGNED_MAGIC.sub(r"\1None", _MAGIC.sub(r"\1pass", python))
        lines[number] = "" if goes_on else python
        # A shell command may span several lines.
        goes_on = line.endswith("\\") and (goes_on or python != line)
    return lines


def head(line: str, python: str) -> tuple[str, str] | None:
    """How a line begins that runs Python behind a magic: in the notebook, and as Python.

    Args:
        line: the line of the cell.
        python: the same as Python.

    Returns:
        Such as `%time ` and `pass ;`; None if the line runs no Python.
    """
    found = _RUNS.match(line)
    if found is None or not python.strip().startswith(before := _before(found["magic"])):
        return None
    return found["magic"], before


def _of_magic(line: re.Match[str]) -> str:
    """The code that a magic runs, in the column where it stands; `pass` for compound statements."""
    whole = _before(line["magic"]) + line["code"]
    return line["indent"] + (whole if isinstance(parse(whole), ast.Module) else "pass")


def _before(magic: str) -> str:
    return f"{'pass'.ljust(len(magic) - 1)};"
