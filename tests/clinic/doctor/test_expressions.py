"""The normal form of arithmetic: equal when equal in value, for what it knows."""

import math

from hypothesis import assume, given
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
    value = compute(node)
    assume(abs(value) < 1e6)
    # None of these trees is too long or too deep: each has a normal form, and is compared.
    made = build(node)
    assert made is not None
    assert math.isclose(evaluate(made), value, rel_tol=1e-6, abs_tol=1e-6)


@given(tree(2), tree(2))
def test_sums_and_products_do_not_depend_on_the_order(one, other):
    for sign in "+*":
        first, second = build((sign, one, other)), build((sign, other, one))
        assert first is not None
        assert first == second
        assert hash(first) == hash(second)


def test_what_is_too_long_or_too_deep_has_no_normal_form():
    names = [expressions.of(Opaque((n,))) for n in range(25)]
    total = names[0]
    for name in names[1:24]:
        total = expressions.add(total, name)
    assert len(total.terms) == 24
    assert expressions.add(total, names[24]) is None
    assert expressions.multiply(total, expressions.add(names[0], names[1])) is None
    deep, depth = names[0], 0
    while (deeper := expressions.operate("tanh", deep)) is not None:
        deep, depth = deeper, depth + 1
        assert deep.depth == depth + 1
    assert depth == 12


def test_what_is_written_in_two_ways_is_one():
    a = expressions.of(Opaque(("a",)))
    double = expressions.add(a, a)
    exp = expressions.operate("exp", a)
    assert expressions.multiply(a, a) == expressions.operate("square", a)
    assert expressions.multiply(exp, exp) == expressions.operate("exp", double)
    assert expressions.operate("log", exp) == a
    assert expressions.operate("sqrt", exp) == expressions.power(exp, 0.5)
    assert expressions.add(a, a, -1.0).number == 0.0
