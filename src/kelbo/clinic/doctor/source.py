"""Finds and reads Python: files in any encoding, notebooks, folders."""

import ast
import codecs
import io
import json
import os
import re
import stat
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TextIO

from kelbo.clinic.doctor.magics import without_magics
from kelbo.clinic.doctor.rule import Place
from kelbo.clinic.doctor.syntax import NO_PYTHON, parse
from kelbo.clinic.explain import explain

# The limit of a script, and of the code of a notebook, whose file may hold pictures as well.
LIMIT = 2 * 1024 * 1024
NOTEBOOK_LIMIT = 64 * 1024 * 1024

_SUFFIXES = (".py", ".pyw", ".ipynb")
# A file that mentions neither has nothing that a rule is about.
_OF_KERAS = re.compile("keras|tensorflow", re.IGNORECASE)
# As Python counts lines: other separators of Unicode do not end one.
LINE_END = re.compile(r"\r\n|\r|\n")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NONE_OF_ALL = "expected a Python 3 script, a notebook or a traceback, and it is none of them"
_TRACEBACK = "Traceback (most recent call last)"
_NOQA = re.compile(r"#\s*noqa(?::\s?(?P<codes>[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Skipped:
    """A file or a cell that cannot be read, and why.

    Args:
        path: the name as given.
        reason: one sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Message(Skipped):
    """An error message: a traceback, a log that ends in one, or a message that kelbo knows.

    Args:
        text: all of it.
    """

    text: str


@dataclass(frozen=True)
class Source:
    """The Python of one file.

    Args:
        path: the name as given.
        text: all of it; for a notebook, its cells joined.
        tree: its syntax.
        cells: for a notebook, the cell of each line of the text, and the line within the cell.
        skipped: the cells that cannot be read.
        notebook: for a notebook, the content of its file.
    """

    path: str
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()
    skipped: tuple[Skipped, ...] = field(default=())
    notebook: bytes = field(default=b"", repr=False)

    @cached_property
    def is_of_keras(self) -> bool:
        """Whether it mentions Keras or TensorFlow, so that there is something to examine."""
        return _OF_KERAS.search(self.text) is not None

    @cached_property
    def _lines(self) -> list[bytes]:
        return [line.encode() for line in LINE_END.split(self.text)]

    def place(self, node: ast.AST) -> Place:
        """The place of a syntax node."""
        line: int = getattr(node, "lineno", 1)
        last: int = getattr(node, "end_lineno", None) or line
        first = self._column(line, getattr(node, "col_offset", 0))
        end = self._column(last, getattr(node, "end_col_offset", None) or 0)
        if not self.cells:
            return Place(line, first, last, end)
        cell, line = self.cells[line - 1]
        return Place(line, first, self.cells[last - 1][1], end, cell)

    def line(self, node: ast.AST) -> str:
        """The line on which a syntax node begins."""
        return self._lines[getattr(node, "lineno", 1) - 1].decode()

    def _column(self, line: int, offset: int) -> int:
        # Python's offsets are bytes of UTF-8.
        return len(self._lines[line - 1][:offset].decode(errors="replace")) + 1

    @cached_property
    def noqa(self) -> dict[int, frozenset[str]]:
        """The codes that comments turn off, by line; an empty set turns off all."""
        found: dict[int, frozenset[str]] = {}
        if "noqa" not in self.text.lower():
            return found
        try:
            for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
                if token.type == tokenize.COMMENT and (comment := _NOQA.search(token.string)):
                    codes = re.findall(r"[A-Z]+\d+", (comment["codes"] or "").upper())
                    found[token.start[0]] = frozenset(codes)
        except (tokenize.TokenError, SyntaxError):
            pass
        return found


def find(paths: Iterable[str]) -> Iterator[str | Skipped]:
    """The Python files and notebooks among these paths and below them, each once, sorted by name.

    Hidden folders, virtual environments and links to folders are left out.
    """
    seen: set[str] = set()
    for path in paths:
        for found in _below(path) if os.path.isdir(path) else [path]:
            if isinstance(found, Skipped):
                yield found
            elif (real := os.path.realpath(found)) not in seen:
                seen.add(real)
                yield found


def _below(folder: str) -> Iterator[str | Skipped]:
    denied: list[OSError] = []
    for here, folders, files in os.walk(folder, onerror=denied.append):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.exists(os.path.join(here, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            path = os.path.join(here, name)
            if name.lower().endswith(_SUFFIXES) and (os.path.isfile(path) or os.path.islink(path)):
                yield path
    for error in denied:
        yield Skipped(str(error.filename), _of(error))


def load(path: str) -> Source | Skipped:
    """Read one file."""
    if path.lower().endswith(".keras"):
        return Skipped(
            path, f"it is a saved model; look at it with kelbo doctor --model {path} --data DATA."
        )
    notebook = path.lower().endswith(".ipynb")
    limit = NOTEBOOK_LIMIT if notebook else LIMIT
    try:
        # A pipe or a device may never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Skipped(path, "it is not a regular file; - in place of a name reads from stdin.")
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        return Skipped(path, _of(error))
    except ValueError:
        return Skipped(path, "it is not a valid file name.")
    if len(content) > limit:
        size = Path(path).stat().st_size
        return Skipped(
            path, f"it has {_megabytes(size)}, and the doctor reads up to {_megabytes(limit)}."
        )
    return read_notebook(path, content) if notebook else read_script(path, content)


def read_stream(stream: BinaryIO | TextIO) -> Source | Skipped:
    """Read the Python, a script or a notebook, that comes from a stream.

    Args:
        stream: a binary stream or a text stream.
    """
    content = stream.read(NOTEBOOK_LIMIT + 1)
    return read_script("<stdin>", content.encode() if isinstance(content, str) else content)


def read_script(path: str, content: bytes) -> Source | Skipped:
    """Read the Python of a script.

    Args:
        path: its name; without a Python suffix the content may also be a notebook, or an error
            message, which is returned as a Message.
        content: its bytes.
    """
    if path.lower().endswith(_SUFFIXES):
        return _read_python(path, content)
    if content.lstrip().startswith(b"{"):
        notebook = read_notebook(path, content)
        if isinstance(notebook, Source):
            return notebook
    found = _read_python(path, content, _NONE_OF_ALL)
    if isinstance(found, Source):
        return found
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8"
    text = content.decode(encoding, errors="replace")
    if _TRACEBACK in text or explain(text):
        return Message(path, "it is an error message, not a script; see kelbo explain.", text)
    return found


def _read_python(path: str, content: bytes, otherwise: str = NO_PYTHON) -> Source | Skipped:
    if len(content) > LIMIT:
        return Skipped(path, f"it has more than the {_megabytes(LIMIT)} that the doctor reads.")
    if content.startswith(_UTF_16):
        return Skipped(path, "it is in UTF-16, which Python does not read; save it as UTF-8.")
    if b"\0" in content:
        return Skipped(path, "it is a binary file.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        reason = str(getattr(error, "msg", "") or error)
        return Skipped(path, f"it is not in the encoding that it declares: {reason}.")
    tree = parse(text, otherwise)
    return Source(path, text, tree) if isinstance(tree, ast.Module) else Skipped(path, tree)


def read_notebook(path: str, content: bytes) -> Source | Skipped:
    """Read the Python of a notebook: its code cells without the magics.

    Args:
        path: its name.
        content: its bytes, JSON.
    """
    try:
        notebook = json.loads(content)
        cells = _cells(notebook)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
        return Skipped(path, "it is not a notebook: expected JSON with cells.")
    if str(language).lower() not in ("python", ""):
        return Skipped(path, f"it is a notebook in {language}.")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    skipped: list[Skipped] = []
    for number, cell in enumerate(cells, 1):
        code = without_magics(cell)
        tree = parse("\n".join(code)) if sum(map(len, code)) < LIMIT else "it is too long."
        if isinstance(tree, str):
            skipped.append(Skipped(f"{path}:cell {number}", tree))
            continue
        lines.extend(code)
        places.extend((number, line) for line in range(1, len(code) + 1))
    text = "\n".join(lines)
    whole = parse(text) if len(text) <= LIMIT else "it is too long."
    if isinstance(whole, str):
        return Skipped(path, whole)
    return Source(path, text, whole, tuple(places) or ((1, 1),), tuple(skipped), content)


def _cells(notebook: dict) -> list[str]:
    # Notebooks of format 3 keep their cells in worksheets.
    sheets = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
    found = []
    for cell in sheets:
        if cell.get("cell_type") == "code":
            code = cell.get("source", cell.get("input", ""))
            found.append(code if isinstance(code, str) else "".join(map(str, code)))
    return found


def _of(error: OSError) -> str:
    return f"{(error.strerror or str(error)).lower()}."


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MiB"
