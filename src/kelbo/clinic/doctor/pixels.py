"""The range of a script's data, where it is known: for the datasets that Keras loads."""

import ast

from kelbo.clinic.doctor import expressions
from kelbo.clinic.doctor.expressions import Expression, Opaque
from kelbo.clinic.doctor.values import Items, Tensor, Value, options

_PIXELS = "pixels"

# A range that differs by rounding is the same.
_CLOSE = 1e-6


def pixels(dataset: str) -> Tensor:
    """Images as loaded, with pixels from 0 to 255."""
    return Tensor(expressions.of(Opaque((_PIXELS, dataset))))


def pixel_range(value: Value | None) -> tuple[float, float] | None:
    """The smallest and the largest pixel of images; None if that is not certain."""
    ranges = {
        _range(option.expression) if isinstance(option, Tensor) else None
        for option in options(value)
    }
    return ranges.pop() if len(ranges) == 1 else None


def joined(arrays: Items) -> Tensor | None:
    """Concatenated images; None if their ranges differ or are not known."""
    first = arrays.items[0] if arrays.items else None
    ranges = {pixel_range(array) for array in arrays.items}
    if not isinstance(first, Tensor) or len(ranges) > 1 or None in ranges:
        return None
    return Tensor(first.expression)


def is_within_unit(low: float, high: float) -> bool:
    """Whether a range lies in [0, 1]."""
    return low >= -_CLOSE and high <= 1.0 + _CLOSE


def scaled(expression: Expression) -> tuple[float, float, Opaque] | None:
    """Factor, shift and source of `factor * source + shift`; None for any other expression."""
    factor, shift, source = 0.0, 0.0, None
    for coefficient, atoms in expression.terms:
        if not atoms:
            shift = coefficient
        elif len(atoms) == 1 and isinstance(atoms[0], Opaque) and source is None:
            factor, source = coefficient, atoms[0]
        else:
            return None
    return None if source is None else (factor, shift, source)


def interval(factor: float, shift: float, low: float, high: float) -> tuple[float, float]:
    """The range of `factor * source + shift` for a source between low and high."""
    one, other = factor * low + shift, factor * high + shift
    return min(one, other), max(one, other)


def changes_in_place(tree: ast.AST) -> bool:
    """Whether a script may scale arrays in place under another name than their own.

    A loop over arrays, or a function that takes one, may scale it by `array /= 255` or
    `array[:] = ...`; a NumPy function may by `out=array`. Which arrays these are is not followed.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "out":
            return True
        names: set[str] = set()
        if isinstance(node, ast.For):
            names = {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.FunctionDef):
            names = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        if names and any(_changed(part) in names for part in ast.walk(node)):
            return True
    return False


def _changed(node: ast.AST) -> str | None:
    """The name of the array that a statement changes in place."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div | ast.Mult | ast.Sub):
        target = node.target
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        target = node.targets[0]
    else:
        return None
    array = target.value if isinstance(target, ast.Subscript) else target
    return array.id if isinstance(array, ast.Name) else None


def _range(expression: Expression) -> tuple[float, float] | None:
    """The range of images that were loaded, scaled, shifted and clipped."""
    parts = scaled(expression)
    if parts is None:
        return None
    factor, shift, source = parts
    whole = source.key[0]
    found = _range(whole) if isinstance(whole, Expression) else None
    if whole == _PIXELS:
        found = 0.0, 255.0
    return None if found is None else interval(factor, shift, *found)
