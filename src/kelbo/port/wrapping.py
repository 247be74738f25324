"""Lines that became too long, broken as formatters break them: at the arguments of a call."""

import ast
import re

_LONGEST = 100
_END = re.compile(r"(\r\n|\r|\n)")  # where Python ends a line; str.splitlines has more such places


def wrapped(before: str, after: str) -> str:
    """The ported script with its long lines broken, where the script has none that are as long.

    Args:
        before: the script.
        after: the ported script.
    """
    kept = set(_END.split(before))
    limit = max(_LONGEST, *map(len, kept))
    while True:
        parts = _END.split(after)  # every second one is the end of a line
        calls = _calls(after)
        for number, line in enumerate(parts[::2], 1):
            if len(line) > limit and line not in kept and number in calls:
                parts[2 * number - 2] = _broken(line, calls[number], limit)
        if after == (after := "".join(parts)):
            return after


def _calls(text: str) -> dict[int, ast.Call]:
    """The longest call with arguments that begins and ends on a line, for each line."""
    found: dict[int, ast.Call] = {}
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.JoinedStr):
            continue  # where the places in it cannot be trusted
        if isinstance(node, ast.Call) and node.lineno == node.end_lineno:
            if node.args or node.keywords:
                before = found.get(node.lineno, node)
                found[node.lineno] = max(before, node, key=_length)
        todo.extend(reversed(list(ast.iter_child_nodes(node))))
    return found


def _length(node: ast.expr) -> int:
    return (node.end_col_offset or 0) - node.col_offset


def _broken(line: str, call: ast.Call, limit: int) -> str:
    """A line whose call has its arguments on lines of their own."""
    encoded = line.encode()  # Python's places are those of bytes
    start = encoded.index(b"(", call.func.end_col_offset or 0) + 1
    end = (call.end_col_offset or 0) - 1
    margin = line[: len(line) - len(line.lstrip())]
    arguments = encoded[start:end].decode().strip()
    inside = f"{margin}    {arguments}"
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    ends = sorted(one.end_col_offset or 0 for one in given)
    if len(inside) > limit and len(ends) > 1:
        # Parentheses around an argument are none of its own in Python's tree, so that it reaches to
        # the comma behind it.
        commas = [encoded.index(b",", place) for place in ends[:-1]]
        pieces = [
            encoded[one:other].decode().strip(" \t\f,")
            for one, other in zip([start, *commas], [*commas, end], strict=True)
        ]
        inside = "\n".join(f"{margin}    {piece}," for piece in pieces)
    return f"{encoded[:start].decode()}\n{inside}\n{margin}{encoded[end:].decode()}"
