"""Lines that became too long, broken as formatters break them: at the arguments of a call."""

import ast

_LONGEST = 100


def wrapped(before: str, after: str) -> str:
    """The ported script with its long lines broken, where the script has none that are as long.

    Args:
        before: the script.
        after: the ported script.
    """
    kept = set(before.splitlines())
    limit = max(_LONGEST, *map(len, kept or {""}))
    while True:
        lines = after.splitlines(keepends=True)
        calls = _calls(after)
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\r\n")
            if len(text) > limit and text not in kept and number in calls:
                lines[number - 1] = _broken(text, calls[number], limit) + line[len(text) :]
        if after == (after := "".join(lines)):
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
    places = sorted(given.col_offset for given in (*call.args, *call.keywords))  # type: ignore
    if len(inside) > limit and len(places) > 1:
        pieces = [
            encoded[one:other].decode().strip().rstrip(",")
            for one, other in zip(places, [*places[1:], end], strict=True)
        ]
        inside = "\n".join(f"{margin}    {piece}," for piece in pieces)
    return f"{encoded[:start].decode()}\n{inside}\n{margin}{encoded[end:].decode()}"
