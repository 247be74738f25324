"""What expressions mean, whatever the names in them: to compare one method with another."""

import ast
import hashlib
from collections.abc import Mapping


class _Named(ast.NodeTransformer):
    """Replaces names by the expressions that gave them their values."""

    def __init__(self, values: Mapping[str, ast.expr]):
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        node.keywords = [word for word in node.keywords if word.arg != "training"]
        return node


def meanings(parts: list[tuple[ast.expr, str]], lines: list[ast.stmt]) -> dict[str, ast.expr]:
    """What each name stands for in terms of x, y and sample_weight, after some statements."""
    values: dict[str, ast.expr] = {}
    for target, part in parts:
        _bind(values, target, ast.Name(f"<{part}>", ast.Load()))
    for line in lines:
        if isinstance(line, ast.Assign):
            _bind(values, line.targets[0], meant(line.value, values))
        elif isinstance(line, ast.AnnAssign) and line.value is not None:
            _bind(values, line.target, meant(line.value, values))
        elif isinstance(line, ast.AugAssign) and isinstance(line.target, ast.Name):
            before = values.get(line.target.id, ast.Name(line.target.id, ast.Load()))
            made = ast.BinOp(before, line.op, meant(line.value, values))
            values[line.target.id] = _short(made)
    return values


def meant(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """An expression with its names replaced by what they stand for."""
    copied = ast.parse(ast.unparse(node), mode="eval").body
    made = _Named(values).visit(copied)
    return made if isinstance(made, ast.expr) else node


def same_meaning(one: ast.expr, other: ast.expr) -> bool:
    """Whether two expressions, with their names replaced, are the same."""
    return _short(one).id == _short(other).id


def _bind(values: dict[str, ast.expr], target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        values[target.id] = value if isinstance(value, ast.Tuple | ast.List) else _short(value)
    elif isinstance(target, ast.Tuple | ast.List):
        items = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        for place, element in enumerate(target.elts):
            item = ast.Subscript(value, ast.Constant(place), ast.Load())
            _bind(values, element, items[place] if len(items) == len(target.elts) else item)


def _short(value: ast.expr) -> ast.Name:
    """A name that stands for an expression, so that meanings of meanings do not grow."""
    if isinstance(value, ast.Name) and value.id.startswith("<"):
        return value
    digest = hashlib.sha256(ast.dump(value).encode()).hexdigest()
    return ast.Name(f"<{digest}>", ast.Load())
