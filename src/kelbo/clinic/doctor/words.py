"""The words in which findings speak of a script: its own names."""

import ast
from collections.abc import Sequence


def dotted(node: ast.AST | None, otherwise: str = "") -> str:
    """The dotted name of an expression as written, `self.mu`; of `f().mu`, only `mu`.

    Args:
        node: an expression.
        otherwise: what to return for an expression without a name.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts)) or otherwise


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b` or `a, b and c`: each name once, in the order of first mention."""
    *head, last = dict.fromkeys(names)
    return f"{', '.join(head)} and {last}" if head else last
