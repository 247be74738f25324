"""From a path to the Python in it: files in any encoding, notebooks, folders."""

import ast
import codecs
import io
import json
import os
import re
import stat
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TextIO

from kelbo.clinic.doctor.rule import Place
from kelbo.clinic.explain import explain

# No script is longer; of a notebook, which may hold pictures, this goes for the code alone.
LIMIT = 2 * 1024 * 1024
NOTEBOOK_LIMIT = 64 * 1024 * 1024

_SUFFIXES = (".py", ".pyw", ".ipynb")
# What mentions none of these can do nothing that a rule is about.
_OF_KERAS = re.compile("keras|tensorflow", re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_PYTHON = "it is no Python 3"
_NONE_OF_ALL = "expected a Python 3 script, a notebook or a traceback, and it is none of them"
_TRACEBACK = "Traceback (most recent call last)"
_PYTHON_2 = re.compile(r"Missing parentheses in call to|multiple exception types|invalid token")
_NOQA = re.compile(r"#\s*noqa(?::\s?(?P<codes>[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*))?", re.IGNORECASE)
# Cell magics behind which there is still Python.
_OF_PYTHON = re.compile(r"%%(time|timeit|capture|prun|memit)\b")
_MAGIC = re.compile(r"^(\s*)(?:(?:%{1,2}[a-zA-Z_]|!(?!=)|\?).*|[\w.]+\?{1,2}\s*)$")
# Magics that run the Python behind them and its options.
_RUNS = re.compile(
    r"^(?P<indent>\s*)(?P<magic>%{1,2}(?:time|timeit|prun|memit)\s+(?:-[a-z]\s*\d*\s+)*)(?P<code>.+)$"
)
_ENVIRONMENT = re.compile(r"^(\s*)%(?:set_)?env\s+(\w+)(?:\s*=|\s).*$")
_ASSIGNED_MAGIC = re.compile(r"^(\s*[\w., ]+=\s*)[%!].*$")


@dataclass(frozen=True)
class Skipped:
    """What cannot be read, and why.

    Args:
        path: as it was named.
        reason: one sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Message(Skipped):
    """What an error has printed: a traceback, a log that ends in one, a message that is known.

    Args:
        text: all of it.
    """

    text: str


@dataclass(frozen=True)
class Source:
    """The Python of one file.

    Args:
        path: as it was named.
        text: all of it; of a notebook, its cells one after the other.
        tree: its syntax.
        cells: of a notebook, the cell and the line in it of each line of the text.
        skipped: the cells that cannot be read.
    """

    path: str
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()
    skipped: tuple[Skipped, ...] = field(default=())

    @cached_property
    def is_of_keras(self) -> bool:
        """Whether it mentions Keras or TensorFlow, so that there is something to examine."""
        return _OF_KERAS.search(self.text) is not None

    @cached_property
    def _lines(self) -> list[bytes]:
        # As Python counts lines: other separators of Unicode do not end one.
        return [line.encode() for line in re.split(r"\r\n|\r|\n", self.text)]

    def place(self, node: ast.AST) -> Place:
        """Where a piece of the syntax stands."""
        line: int = getattr(node, "lineno", 1)
        last: int = getattr(node, "end_lineno", None) or line
        first = self._column(line, getattr(node, "col_offset", 0))
        end = self._column(last, getattr(node, "end_col_offset", None) or 0)
        if not self.cells:
            return Place(line, first, last, end)
        cell, line = self.cells[line - 1]
        return Place(line, first, self.cells[last - 1][1], end, cell)

    def line(self, node: ast.AST) -> str:
        """The line on which a piece of the syntax begins."""
        return self._lines[getattr(node, "lineno", 1) - 1].decode()

    def _column(self, line: int, offset: int) -> int:
        # Python's offsets are bytes of UTF-8.
        return len(self._lines[line - 1][:offset].decode(errors="replace")) + 1

    @cached_property
    def noqa(self) -> dict[int, frozenset[str]]:
        """The codes that a comment turns off on a line; none of them means all."""
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
    """The Python files and notebooks of files and folders, each once, in the order of their names.

    Folders that are hidden, virtual environments and links to folders are left out.
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
        # Of a pipe or a device nobody knows when, and whether, it ends.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Skipped(path, "it is no regular file; kelbo doctor - reads what it is handed.")
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        return Skipped(path, _of(error))
    except ValueError:
        return Skipped(path, "this is no name of a file.")
    if len(content) > limit:
        size = Path(path).stat().st_size
        return Skipped(
            path, f"it has {_megabytes(size)}, and the doctor reads up to {_megabytes(limit)}."
        )
    return read_notebook(path, content) if notebook else read_script(path, content)


def read_stream(stream: BinaryIO | TextIO) -> Source | Skipped:
    """The Python that comes by a stream, as a script or as a notebook.

    Args:
        stream: of bytes or of text.
    """
    content = stream.read(NOTEBOOK_LIMIT + 1)
    return read_script("<stdin>", content.encode() if isinstance(content, str) else content)


def read_script(path: str, content: bytes) -> Source | Skipped:
    """The Python of a script.

    Args:
        path: its name; what it does not call Python may be a notebook too, or a Message that tells
            of an error.
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
        return Message(path, "it is an error message and no script; see kelbo explain.", text)
    return found


def _read_python(path: str, content: bytes, otherwise: str = _NO_PYTHON) -> Source | Skipped:
    if len(content) > LIMIT:
        return Skipped(path, f"it has more than the {_megabytes(LIMIT)} that the doctor reads.")
    if content.startswith(_UTF_16):
        return Skipped(path, "it is in UTF-16, which Python does not read; save it as UTF-8.")
    if b"\0" in content:
        return Skipped(path, "it is binary and no Python.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        reason = str(getattr(error, "msg", "") or error)
        return Skipped(path, f"its encoding is not what it says: {reason}.")
    tree = parse(text, otherwise)
    return Source(path, text, tree) if isinstance(tree, ast.Module) else Skipped(path, tree)


def read_notebook(path: str, content: bytes) -> Source | Skipped:
    """The Python of a notebook: its code cells, magics left out.

    Args:
        path: its name.
        content: its bytes, JSON.
    """
    try:
        notebook = json.loads(content)
        cells = _cells(notebook)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
        return Skipped(path, "it is no notebook: expected JSON with cells.")
    if str(language).lower() not in ("python", ""):
        return Skipped(path, f"it is a notebook in {language}.")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    skipped: list[Skipped] = []
    for number, cell in enumerate(cells, 1):
        code = _without_magics(cell)
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
    return Source(path, text, whole, tuple(places) or ((1, 1),), tuple(skipped))


def _cells(notebook: dict) -> list[str]:
    # Notebooks of format 3 have worksheets.
    sheets = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
    found = []
    for cell in sheets:
        if cell.get("cell_type") == "code":
            code = cell.get("source", cell.get("input", ""))
            found.append(code if isinstance(code, str) else "".join(map(str, code)))
    return found


def _without_magics(cell: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", cell)
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not _OF_PYTHON.match(first):
        return [""] * len(lines)
    goes_on = False
    for number, line in enumerate(lines):
        python = _RUNS.sub(_of_magic, line)
        python = _ENVIRONMENT.sub(r'\1__import__("os").environ["\2"] = ...', python)
        python = _ASSIGNED_MAGIC.sub(r"\1None", _MAGIC.sub(r"\1pass", python))
        lines[number] = "" if goes_on else python
        # A command of the shell may have several lines.
        goes_on = line.endswith("\\") and (goes_on or python != line)
    return lines


def _of_magic(line: re.Match[str]) -> str:
    """The code that a magic runs, in the column where it stands; of compound statements nothing."""
    whole = f"{'pass'.ljust(len(line['magic']) - 1)};{line['code']}"
    return line["indent"] + (whole if isinstance(parse(whole), ast.Module) else "pass")


def parse(text: str, otherwise: str = _NO_PYTHON) -> ast.Module | str:
    """The syntax of Python code, or why it has none.

    Args:
        text: the code.
        otherwise: what to say of a text that is not written in Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A notebook may wait outside of functions.
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile(text, "<script>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        kind = "it is written in Python 2" if _PYTHON_2.search(error.msg) else otherwise
        message = error.msg if error.msg.endswith("?") else f"{error.msg}."
        return f"{kind}: line {error.lineno}: {message}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"Python cannot read it: {error or 'it is nested too deep'}."
    return tree if isinstance(tree, ast.Module) else "Python cannot read it."


def _of(error: OSError) -> str:
    return f"{(error.strerror or str(error)).lower()}."


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MiB"
