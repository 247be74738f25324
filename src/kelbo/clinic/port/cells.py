"""The code cells of a notebook as one script, and back.

Between the cells stand statements that the port does not know and so leaves in their places. A
magic is a line with a comment that numbers it, and becomes itself again afterwards.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kelbo.clinic.doctor import Source
from kelbo.clinic.doctor.magics import head, without_magics
from kelbo.clinic.doctor.source import LINE_END
from kelbo.errors import DataError

_BORDER = re.compile(r'^"__kelbo_cell_(\d+)__"$')
_MARK = re.compile(r"  # kelbo magic (\d+)$")
_FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)
# What notebooks know without an import.
_DISPLAY = "def display(*objects, **options):\n    print(*objects)\n"


@dataclass(frozen=True)
class _Magic:
    """A magic or a shell command.

    Args:
        lines: its lines in the notebook.
        head: if Python follows, how its line begins, in the notebook and as Python.
    """

    lines: tuple[str, ...]
    head: tuple[str, str] | None


class Cells:
    """The cells of a notebook that hold Python, as one script.

    Args:
        path: the name of the notebook.
        cells: the sources of cells, by number; one in another language is left out.
    """

    def __init__(self, path: str, cells: Mapping[int, str]):
        self.path = path
        self.cells = {n: cell for n, cell in cells.items() if any(without_magics(cell))}
        self.magics: list[_Magic] = []
        lines: list[str] = []
        places: list[tuple[int, int]] = []
        for number, cell in self.cells.items():
            if lines:
                lines.append(f'"__kelbo_cell_{number}__"')
                places.append((number, 1))
            for line, code in self._numbered(cell):
                lines.append(code)
                places.append((number, line))
        text = "\n".join(lines) + "\n"
        self.source = Source(path, text, ast.parse(text), tuple(places) or ((1, 1),))

    def _numbered(self, cell: str) -> Iterator[tuple[int, str]]:
        """The lines of a cell as Python, each with its number in the cell."""
        lines = LINE_END.split(cell)
        codes = without_magics(cell)
        number = 0
        while number < len(lines):
            first, line, code = number, lines[number], codes[number]
            number += 1
            if line == code:
                yield first + 1, line
                continue
            # The further lines of a shell command are empty.
            while line.endswith("\\") and number < len(lines) and codes[number] != lines[number]:
                line = lines[number]
                number += 1
            magic = _Magic(tuple(lines[first:number]), head(lines[first], code))
            self.magics.append(magic)
            yield first + 1, f"{code}  # kelbo magic {len(self.magics) - 1}"

    def split(self, text: str) -> dict[int, str]:
        """The cells that a ported script returns to.

        Raises:
            DataError: a cell or a magic is not where it was.
        """
        numbers = list(self.cells)
        if not numbers:
            return {}
        found: dict[int, list[str]] = {numbers[0]: []}
        for line in text.split("\n"):
            if border := _BORDER.match(line):
                found[int(border[1])] = []
            else:
                found[next(reversed(found))].append(line)
        if list(found) != numbers:
            raise self._broken("a cell is not where it was")
        cells = {number: self._restored(lines) for number, lines in found.items()}
        return {number: _with_margins(self.cells[number], cells[number]) for number in numbers}

    def _restored(self, lines: list[str]) -> list[str]:
        """The lines of a cell with its magics as they were."""
        found: list[str] = []
        for line in lines:
            mark = _MARK.search(line)
            if mark is None:
                found.append(line)
                continue
            magic = self.magics[int(mark[1])]
            code = line[: mark.start()]
            if magic.head is None:
                before = len(magic.lines[0]) - len(magic.lines[0].lstrip())
                margin = code[: len(code) - len(code.lstrip())]
                found += [margin + magic.lines[0][before:], *magic.lines[1:]]
                continue
            # The rest of a magic's line must stay on that line.
            while not code.lstrip().startswith(magic.head[1]):
                if not found:
                    raise self._broken(f"{magic.lines[0].strip()} is not where it was")
                more, code = code.strip(), found.pop().rstrip()
                if more.startswith((")", "]", "}")):
                    code = code.removesuffix(",") + more
                else:
                    code += more if code.endswith(("(", "[", "{")) else f" {more}"
            found.append(code.replace(magic.head[1], magic.head[0], 1))
        return found

    def runnable(self, text: str) -> str:
        """A ported script without what only a notebook understands."""
        lines = [line for line in text.split("\n") if not _BORDER.match(line)]
        for place, line in enumerate(lines):
            if (mark := _MARK.search(line)) and self.magics[int(mark[1])].head is None:
                made = re.match(r"\s*[\w., ]+ = None", line)  # what a shell command would give
                margin = line[: len(line) - len(line.lstrip())]
                lines[place] = made[0] if made else f"{margin}pass"
        code = "\n".join(lines)
        future = dict.fromkeys(_FUTURE.findall(code))  # each cell may begin with one
        return "\n".join([*future, _DISPLAY, _FUTURE.sub("", code)])

    def _broken(self, reason: str) -> DataError:
        return DataError(
            f"{self.path} cannot be ported: {reason}. This is a fault of kelbo, please report it "
            f"with the notebook. To see what to change by hand: kelbo doctor {self.path}"
        )


def _with_margins(before: str, lines: list[str]) -> str:
    """The text of a cell, with as many empty lines around it as it had."""
    old = LINE_END.split(before)
    text = "\n".join(lines).strip("\n")
    if text == "\n".join(old).strip("\n"):
        return before
    text = "\n" * _empty(old) + text + "\n" * _empty(old[::-1])
    return text.replace("\n", "\r\n") if "\r\n" in before else text


def _empty(lines: list[str]) -> int:
    """The number of empty lines that some lines begin with."""
    return next((number for number, line in enumerate(lines) if line), 0)
