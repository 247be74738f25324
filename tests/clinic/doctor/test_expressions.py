"""The normal form of arithmetic: equal when equal in value, for what it knows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.doctor import expressions
from kelbo.clinic.doctor.expressions import Opaque

NAMES = {"a": 0.7, "b": -1.3, "c": 2.1}
FUNCTIONS = {"exp": math.exp, "square": lambda x: x * x}


def tree(depth):
    leaf = st.sampled_from(list(NAMES)) | st.integers(-3, 3)
    if not depth:
        return leaf
    below = tree(depth - 1)
    return (
        leaf
        | st.tuples(st.sampled_from("+-*"), below, below)
        | st.tuples(st.sampled_from(list(FUNCTIONS)), below)
    )


def build(node):
    if isinstance(node, str):
        return expressions.of(Opaque((node,), node))
    if isinstance(node, int):
        return expressions.number(node)
    sign, *below = node
    parts = [build(part) for part in below]
    if any(part is None for part in parts):
        return None
    if sign == "*":
        return expressions.multiply(*parts)
    if sign in "+-":
        return expressions.add(*parts, 1.0 if sign == "+" else -1.0)
    return expressions.operate(sign, *parts)


def compute(node):
    if isinstance(node, str | int):
        return NAMES.get(node, node)
    sign, *below = node
    parts = [compute(part) for part in below]
    if sign in FUNCTIONS:
        return FUNCTIONS[sign](min(parts[0], 50.0))
    return {"+": sum(parts), "-": parts[0] - parts[-1], "*": math.prod(parts)}[sign]


def evaluate(expression):
    total = 0.0
    for coefficient, atoms in expression.terms:
        for atom in atoms:
            if isinstance(atom, Opaque):
                coefficient *= NAMES[atom.name]
            else:
                coefficient *= FUNCTIONS[atom.name](evaluate(atom.argument))
        total += coefficient
    return total


@given(tree(3))
def test_the_normal_form_has_the_value_of_what_was_written(node):
    made = build(node)
    if made is not None and abs(value := compute(node)) < 1e6:
        assert math.isclose(evaluate(made), value, rel_tol=1e-6, abs_tol=1e-6)


@given(tree(2), tree(2))
def test_sums_and_products_do_not_depend_on_the_order(one, other):
    for sign in "+*":
        first, second = build((sign, one, other)), build((sign, other, one))
        assert first == second
        assert hash(first) == hash(second)


def test_what_is_written_in_two_ways_is_one():
    a = expressions.of(Opaque(("a",)))
    double = expressions.add(a, a)
    exp = expressions.operate("exp", a)
    assert expressions.multiply(a, a) == expressions.operate("square", a)
    assert expressions.multiply(exp, exp) == expressions.operate("exp", double)
    assert expressions.operate("log", exp) == a
    assert expressions.operate("sqrt", exp) == expressions.power(exp, 0.5)
    assert expressions.add(a, a, -1.0).number == 0.0
