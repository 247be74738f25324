"""The arithmetic of a script's tensors: linear combinations of what the doctor cannot look into.

Expressions are brought to one form, so that equal ones compare equal: `x ** 2`, `x * x` and
`tf.square(x)` are one, and so are `exp(x) ** 2` and `exp(2 * x)`.
"""

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# No formula of a loss is longer or nested deeper.
_MOST_TERMS = 24
_MOST_DEPTH = 12


@dataclass(frozen=True)
class Opaque:
    """A tensor that is known only by its source.

    Args:
        key: equal for the same tensor.
        name: what the script calls it, for a sentence.
    """

    key: tuple[Any, ...]
    name: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class Operation:
    """An elementwise operation on an expression: exp, log, square, sqrt, sigmoid ..."""

    name: str
    argument: "Expression"


@dataclass(frozen=True)
class Reduction:
    """A sum or a mean over axes.

    Args:
        how: "sum" or "mean".
        axes: the axes, as the script gives them; None for all.
        keepdims: whether reduced axes stay, with a size of 1.
        argument: what is reduced.
        shape: the shape of the argument; None if not known.
    """

    how: str
    axes: tuple[int, ...] | None
    keepdims: bool
    argument: "Expression"
    shape: Any


@dataclass(frozen=True)
class Divergence:
    """A reconstruction loss, element by element.

    Args:
        kind: "binary_crossentropy", "squared_error", "absolute_error" ...
        target: the target; None if Keras supplies it.
        output: the output of the model.
        from_logits: as the script says; None if not known.
    """

    kind: str
    target: "Expression | None"
    output: "Expression | None"
    from_logits: bool | None = False


@dataclass(frozen=True)
class Noise:
    """Random numbers.

    Args:
        node: the call that draws them.
        kind: "normal" or "uniform".
    """

    node: ast.AST
    kind: str


Atom = Opaque | Operation | Reduction | Divergence | Noise


@dataclass(frozen=True, eq=False)
class Expression:
    """A linear combination of products: ((coefficient, (atom, ...)), ...), in any order."""

    terms: tuple[tuple[float, tuple[Atom, ...]], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.terms))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Expression)
            and self._hash == other._hash
            and frozenset(self.terms) == frozenset(other.terms)
        )

    @cached_property
    def depth(self) -> int:
        """How deep operations are nested in it."""
        below = [part.depth for _, atoms in self.terms for atom in atoms for part in parts(atom)]
        return 1 + max(below, default=0)

    @property
    def number(self) -> float | None:
        """Its value if it is a number, else None."""
        if not self.terms:
            return 0.0
        ((coefficient, atoms), *others) = self.terms
        return coefficient if not atoms and not others else None

    @property
    def atom(self) -> Atom | None:
        """The atom that it consists of, if it is a single one."""
        if len(self.terms) == 1:
            coefficient, atoms = self.terms[0]
            if coefficient == 1.0 and len(atoms) == 1:
                return atoms[0]
        return None

    @property
    def opaque(self) -> Opaque | None:
        """The opaque tensor that it is, if nothing is computed."""
        atom = self.atom
        return atom if isinstance(atom, Opaque) else None


def parts(atom: Atom) -> list["Expression"]:
    """The expressions that an atom is computed from."""
    if isinstance(atom, Operation | Reduction):
        return [atom.argument]
    if isinstance(atom, Divergence):
        return [part for part in (atom.target, atom.output) if part is not None]
    return []


def number(value: float) -> Expression:
    """A number as an expression."""
    return Expression(((float(value), ()),) if value else ())


def of(atom: Atom) -> Expression:
    """A single atom as an expression."""
    return Expression(((1.0, (atom,)),))


def add(first: Expression, second: Expression, sign: float = 1.0) -> Expression | None:
    """The sum, or the difference if the sign is -1; None if it has too many terms."""
    sums = {atoms: coefficient for coefficient, atoms in first.terms}
    for coefficient, atoms in second.terms:
        sums[atoms] = sums.get(atoms, 0.0) + sign * coefficient
    return _combination(sums)


def multiply(first: Expression, second: Expression) -> Expression | None:
    """The product; None if it has too many terms."""
    if len(first.terms) * len(second.terms) > _MOST_TERMS:
        return None
    sums: dict[tuple[Atom, ...], float] = {}
    for left, left_atoms in first.terms:
        for right, right_atoms in second.terms:
            atoms = _product(left_atoms + right_atoms)
            sums[atoms] = sums.get(atoms, 0.0) + left * right
    return _combination(sums)


def power(base: Expression, exponent: float) -> Expression | None:
    """A square, a square root or the base itself; None for other powers."""
    if exponent == 2:
        return operate("square", base)
    if exponent == 0.5:
        return operate("sqrt", base)
    return base if exponent == 1 else None


def operate(name: str, argument: Expression) -> Expression | None:
    """An elementwise operation, simplified; None if it is nested too deep."""
    if argument.depth > _MOST_DEPTH:
        return None
    inner = argument.atom
    if isinstance(inner, Operation):
        if (name, inner.name) in (("log", "exp"), ("sqrt", "square")):
            return inner.argument
        if name == "log" and inner.name == "square":
            return _scaled(operate("log", inner.argument), 2.0)
        if inner.name == "exp" and name in ("square", "sqrt"):
            return operate("exp", _scale(inner.argument, 2.0 if name == "square" else 0.5))
    if name == "square" and len(argument.terms) == 1:
        # (c x)^2 = c^2 x^2
        ((coefficient, atoms),) = argument.terms
        if not atoms:
            return number(coefficient**2)
        if coefficient != 1.0:
            return _scaled(operate("square", Expression(((1.0, atoms),))), coefficient**2)
    return of(Operation(name, argument))


def _combination(sums: dict[tuple[Atom, ...], float]) -> Expression | None:
    terms = [(coefficient, atoms) for atoms, coefficient in sums.items() if coefficient]
    if len(terms) > _MOST_TERMS:
        return None
    return Expression(tuple(terms))


def _product(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Sort atoms and replace two equal ones by their square."""
    atoms = tuple(sorted(atoms, key=hash))
    for place, (left, right) in enumerate(zip(atoms, atoms[1:], strict=False)):
        if left == right:
            squared = operate("square", of(left))
            if squared is not None and squared.atom is not None:
                return _product((*atoms[:place], squared.atom, *atoms[place + 2 :]))
    return atoms


def _scale(expression: Expression, factor: float) -> Expression:
    return Expression(
        tuple((factor * coefficient, atoms) for coefficient, atoms in expression.terms)
    )


def _scaled(expression: Expression | None, factor: float) -> Expression | None:
    return None if expression is None else _scale(expression, factor)
