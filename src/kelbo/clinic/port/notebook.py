"""Ports a notebook: its cells, their names and all that is no Python stay."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from kelbo.clinic.doctor import Severity, Skipped, Source, examine
from kelbo.clinic.doctor.source import LINE_END, read_notebook
from kelbo.clinic.port.cells import Cells
from kelbo.clinic.port.ported import Ported, Rewritten, port
from kelbo.clinic.port.script import Left
from kelbo.errors import DataError


def port_notebook(source: Source) -> Ported:
    """Port a notebook without running it.

    Cells are counted as the doctor does: code cells, from 1. The outputs and the execution counts
    of the first cell that changed and of all code cells after it are dropped.

    Args:
        source: the notebook.

    Raises:
        DataError: it is not in the format that it declares, or the ported code is not valid Python.
    """
    notebook = _read(source)
    sheet = notebook if "cells" in notebook else notebook.worksheets[0]
    code = "source" if "cells" in notebook else "input"  # the latter up to format 3
    made = [cell for cell in sheet.cells if cell.cell_type == "code"]
    readable = {number for number, _ in source.cells}
    cells = Cells(source.path, {n: cell[code] for n, cell in enumerate(made, 1) if n in readable})
    ported = port(cells.source)
    rewritten = []
    for number, text in cells.split(ported.text).items():
        before = made[number - 1][code]
        if text != before:
            made[number - 1][code] = text
            rewritten.append(Rewritten(number, tuple(_changed(before, text))))
    if rewritten:
        for cell in made[rewritten[0].cell - 1 :]:
            _forget(cell)
    left = [_in_cell(one, cells.source) for one in ported.left]
    unread = [number for number in range(1, len(made) + 1) if number not in readable]
    left += [
        Left(1, skipped.reason, number)
        for number, skipped in zip(unread, source.skipped, strict=False)
    ]
    text = _written(notebook, source.notebook) if rewritten else source.notebook.decode("utf-8-sig")
    found = read_notebook(source.path, text.encode())
    if isinstance(found, Skipped):
        raise DataError(f"{source.path} cannot be ported: {found.reason}")
    known = {finding.rule.code for finding in ported.kept}
    errors = [
        finding
        for finding in examine(found)
        if finding.rule.severity is Severity.ERROR and finding.rule.code not in known and not left
    ]
    return replace(
        ported,
        text=text,
        changed=bool(rewritten),
        left=tuple(sorted(left, key=lambda one: (one.cell, one.line))),
        errors=tuple(errors),
        runnable=cells.runnable(ported.text),
        cells=tuple(rewritten),
    )


def _read(source: Source) -> Any:
    """The notebook, in the format in which it is.

    Raises:
        DataError: it is not in a format of notebooks.
    """
    import nbformat

    try:
        notebook = nbformat.reader.reads(source.notebook.decode("utf-8-sig"))
        if "nbformat" in notebook:
            return notebook
        reason = "its nbformat is not named"
    except (nbformat.ValidationError, nbformat.NBFormatError, ValueError) as error:
        reason = str(error).removesuffix(".")
    raise DataError(
        f"{source.path} cannot be ported: it is not in the format that Jupyter writes (nbformat): "
        f"{reason}."
    )


def _written(notebook: Any, before: bytes) -> str:
    """The content of a notebook's file, which ends as it did."""
    import nbformat

    text: str = nbformat.versions[notebook.nbformat].writes_json(notebook)
    return text.rstrip("\n") + "\n" * before.endswith(b"\n")


def _forget(cell: Any) -> None:
    """Drop what a cell gave when it last ran."""
    cell.outputs = []
    for count in ("execution_count", "prompt_number"):  # the latter up to format 3
        if count in cell:
            cell[count] = None


def _in_cell(left: Left, source: Source) -> Left:
    cell, line = source.cells[left.line - 1]
    return replace(left, line=line, cell=cell)


def _changed(before: str, after: str) -> Iterable[int]:
    """The lines of a cell in place of which or before which there are others."""
    old, new = LINE_END.split(before), LINE_END.split(after)
    for kind, first, last, *_ in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "insert":
            yield min(first + 1, len(old))
        elif kind != "equal":
            yield from range(first + 1, last + 1)
