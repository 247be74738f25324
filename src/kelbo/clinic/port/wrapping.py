"""Breaks lines that became too long as formatters do: at the arguments of a call, or in a list."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST = 100
_END = re.compile(r"(\r\n|\r|\n)")  # where Python ends a line; str.splitlines has more such places


def wrapped(before: str, after: str) -> str:
    """The ported script, with lines broken that are longer than 100 and than any of its own.

    Lines that were aligned with an opening bracket are aligned with it again.

    Args:
        before: the script.
        after: the ported script.
    """
    kept = set(_END.split(before))
    limit = max(_LONGEST, *map(len, kept))
    after = _under_brackets(before, after, kept)
    while True:
        parts = _END.split(after)  # every second one is the end of a line
        long = [
            number
            for number, line in enumerate(parts[::2], 1)
            if len(line) > limit and line not in kept
        ]
        if (joined := _joined(after, long)) is not None:
            after = joined
            continue
        brackets = _longest(after)
        for number in long:
            if number in brackets:
                parts[2 * number - 2] = _broken(parts[2 * number - 2], brackets[number], limit)
        if after == (after := "".join(parts)):
            return after


def _under_brackets(before: str, after: str, kept: set[str]) -> str:
    """The ported script, with lines aligned with the opening brackets as they were before.

    Args:
        before: the script.
        after: the ported script.
        kept: the lines of the script.
    """
    there = {
        bracket.column - margin
        for _, bracket, margin, begins in _lines_in_brackets(before)
        if begins == bracket.column
    }
    parts = _END.split(after)
    shifts: dict[int, int] = {}
    for number, bracket, margin, begins in _lines_in_brackets(after):
        shift = shifts.get(bracket.line, 0)
        changed = shift or parts[2 * bracket.line - 2] not in kept
        if changed and bracket.column and begins - margin in there:
            shift += bracket.column - begins
        shifts[number] = shift
    for number, shift in shifts.items():
        line = parts[2 * number - 2]
        if shift and line.strip():
            text = line.lstrip()
            parts[2 * number - 2] = " " * max(0, len(line) - len(text) + shift) + text
    return "".join(parts)


@dataclass
class _Bracket:
    """An opening bracket.

    Args:
        line: its line, from 1.
        column: the column of what follows it on its line; 0 if nothing does.
    """

    line: int
    column: int = 0


def _lines_in_brackets(text: str) -> Iterator[tuple[int, _Bracket, int, int]]:
    """The lines that begin inside a bracket.

    Yields:
        The number of the line, its innermost bracket, and the columns in which the bracket's line
        and this one begin.
    """
    lines = _END.split(text)[::2]
    margins = [0, *(len(line) - len(line.lstrip()) for line in lines), 0]
    brackets: list[_Bracket] = []
    for token in _tokens(text):
        line, column = token.start
        if token.type == tokenize.NL:
            if brackets:
                inner = brackets[-1]
                yield line + 1, inner, margins[inner.line], margins[line + 1]
            continue
        if token.type == tokenize.OP and token.string in ")]}":
            brackets.pop()
        elif brackets and token.type != tokenize.COMMENT and brackets[-1].line == line:
            brackets[-1].column = brackets[-1].column or column
        if token.type == tokenize.OP and token.string in "([{":
            brackets.append(_Bracket(line))


def _longest(text: str) -> dict[int, ast.Call | ast.ListComp]:
    """The longest call or list comprehension that begins and ends on a line, by line."""
    found: dict[int, ast.Call | ast.ListComp] = {}
    for node in _bracketed(text):
        if node.lineno == node.end_lineno:
            before = found.get(node.lineno, node)
            found[node.lineno] = max(before, node, key=_length)
    return found


def _bracketed(text: str) -> Iterator[ast.Call | ast.ListComp]:
    """The calls that have arguments and the list comprehensions, the outer ones first."""
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.JoinedStr):
            continue  # positions inside it cannot be trusted
        if isinstance(node, ast.ListComp) or (
            isinstance(node, ast.Call) and (node.args or node.keywords)
        ):
            yield node
        todo.extend(reversed(list(ast.iter_child_nodes(node))))


def _length(node: ast.expr) -> int:
    return (node.end_col_offset or 0) - node.col_offset


def _joined(text: str, long: list[int]) -> str | None:
    """Put a call whose arguments begin beside its bracket on one line; None if there is none.

    Args:
        text: the script.
        long: the numbers of its long lines, at least one of which is in the call.
    """
    if not long:
        return None
    fixed = _fixed_lines(text)
    found = None
    for node in _bracketed(text):
        if isinstance(node, ast.ListComp):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        given: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        beside = min(one.lineno for one in given) == first
        whole = beside and node.func.end_lineno == first < last
        if whole and not fixed & {*range(first, last)}:
            if any(first <= number <= last for number in long):
                found = node
    if found is None:
        return None
    parts = _END.split(text)
    first, last = found.lineno, found.end_lineno or found.lineno
    line = parts[2 * first - 2]
    for number in range(first + 1, last + 1):
        more = parts[2 * number - 2].strip()
        gap = "" if line.endswith(("(", "[", "{")) or more.startswith((")", "]", "}")) else " "
        line = f"{line.rstrip()}{gap}{more}"
    return "".join([*parts[: 2 * first - 2], line, *parts[2 * last - 1 :]])


def _fixed_lines(text: str) -> set[int]:
    """The lines that end in a comment, a backslash or within a string, from 1."""
    fixed = {number for number, line in enumerate(_END.split(text)[::2], 1) if line.endswith("\\")}
    for token in _tokens(text):
        if token.type == tokenize.COMMENT:
            fixed.add(token.start[0])
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            fixed |= {*range(node.lineno, node.end_lineno or node.lineno)}
    return fixed


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text, newline="").readline)


def _broken(line: str, made: ast.Call | ast.ListComp, limit: int) -> str:
    """A line broken so that what is in the brackets of a call or a list has lines of its own."""
    encoded = line.encode()  # Python's columns count bytes
    given: list[ast.expr | ast.keyword] = []
    start = made.col_offset + 1
    if isinstance(made, ast.Call):
        given = [*made.args, *made.keywords]
        start = encoded.index(b"(", made.func.end_col_offset or 0) + 1
    end = (made.end_col_offset or 0) - 1
    margin = line[: len(line) - len(line.lstrip())]
    arguments = encoded[start:end].decode().strip()
    inside = f"{margin}    {arguments}"
    ends = sorted(one.end_col_offset or 0 for one in given)
    if len(inside) > limit and len(ends) > 1:
        # Python's tree leaves out the parentheses around an argument, so each piece reaches to the
        # comma after it.
        commas = [encoded.index(b",", place) for place in ends[:-1]]
        pieces = [
            encoded[one:other].decode().strip(" \t\f,")
            for one, other in zip([start, *commas], [*commas, end], strict=True)
        ]
        inside = "\n".join(f"{margin}    {piece}," for piece in pieces)
    return f"{encoded[:start].decode()}\n{inside}\n{margin}{encoded[end:].decode()}"
