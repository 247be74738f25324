"""How findings speak of a script: with its own names."""

import ast
from collections.abc import Sequence


def dotted(node: ast.AST | None, otherwise: str = "") -> str:
    """A name as it is written, `self.mu`; of what begins with a call or an index only the end.

    Args:
        node: an expression.
        otherwise: what to say where it has no name.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts)) or otherwise


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, in the order of their first mention."""
    *head, last = dict.fromkeys(names)
    return f"{', '.join(head)} and {last}" if head else last
