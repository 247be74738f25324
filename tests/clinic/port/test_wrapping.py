import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.port.wrapping import wrapped

LONG = "a" * 60


def test_arguments_get_a_line_or_each_its_own():
    text = f"if x:\n    y = é(x) + normal({LONG}, seed=generator, dtype=float) ** 2  # é\n"
    tail = "\n    ) ** 2  # é\n"
    assert wrapped("", text) == (
        f"if x:\n    y = é(x) + normal(\n        {LONG}, seed=generator, dtype=float{tail}"
    )
    two = text.replace("float", LONG)
    lines = f"        {LONG},\n        seed=generator,\n        dtype={LONG},"
    assert wrapped("", two) == f"if x:\n    y = é(x) + normal(\n{lines}{tail}"


def test_a_call_within_a_call_is_broken_where_that_is_not_enough():
    text = f"f(g({LONG}, {LONG}))\n"
    inner = f"        {LONG},\n        {LONG},"
    assert wrapped("", text) == f"f(\n    g(\n{inner}\n    )\n)\n"


def test_a_list_is_broken_in_its_brackets():
    text = f"x, {LONG} = [cast(output, {LONG}) for output in y]\n"
    assert wrapped("", text) == f"x, {LONG} = [\n    cast(output, {LONG}) for output in y\n]\n"


@pytest.mark.parametrize("first", ["(1 + x)", "((1 + x))", "(x, 1)", "*(x)"])
def test_parentheses_stay_around_an_argument(first):
    lines = f"    {first},\n    ({LONG}),\n    axis=({LONG}),"
    assert wrapped("", f"f({first}, ({LONG}), axis=({LONG}),)\n") == f"f(\n{lines}\n)\n"


@pytest.mark.parametrize("gap", ["\f", "\x1c", "\u2028"])
def test_a_line_ends_where_python_ends_it(gap):
    text = f"note = '{gap}'\ny = f({LONG}, {LONG})\n"
    lines = f"    {LONG},\n    {LONG},"
    assert wrapped("", text) == f"note = '{gap}'\ny = f(\n{lines}\n)\n"


@pytest.mark.parametrize("before", ["f({0}, {0})", "{0}{0}.g(x)"])
def test_what_the_script_has_stays(before):
    text = before.format(LONG) + "\n"
    assert wrapped(text, text) == text
    assert wrapped(f"# {LONG}{LONG}{LONG}\n", text) == text


def test_a_call_that_was_broken_before_is_broken_anew():
    head = f"    e = normal(shape=({LONG},), {{}}\n"
    before = head.format("mean=0.,") + "           std=1.)  # one\n"
    after = before.replace("std=1.", f"std=1., dtype={LONG}, seed=seed_generator")
    given = (f"shape=({LONG},)", "mean=0.", "std=1.", f"dtype={LONG}", "seed=seed_generator")
    lines = "".join(f"        {one},\n" for one in given)
    expected = f"if x:\n    e = normal(\n{lines}    )  # one\n"
    assert wrapped(f"if x:\n{before}", f"if x:\n{after}") == expected


@pytest.mark.parametrize("piece", ["# a comment\n", '"""two\nlines""",\n', "\\\n"])
def test_what_cannot_stand_on_one_line_stays_broken(piece):
    text = f"f(x, {piece}  {LONG}, {LONG})\n"
    assert ast.dump(ast.parse(wrapped("", text))) == ast.dump(ast.parse(text))
    assert piece.strip("\\\n") in wrapped("", text)


def test_lines_stay_under_the_bracket():
    before = "kl = 2 * K.sum(1 + a\n               - b, axis=[1,\n                          2])\n"
    after = before.replace("K.sum", "ops.sum")
    moved = after.replace("\n ", "\n   ")
    assert wrapped(before, after) == moved
    # What was not under it before, or is not changed, keeps its place.
    assert wrapped(before.replace("\n ", "\n  "), after) == after
    assert wrapped(f"{before}{after}", after) == after
    text = before.replace("1 + a", '"""a\n   b"""')
    assert '"""a\n   b"""\n                 - b' in wrapped(text, text.replace("K.", "ops."))


CALL = st.recursive(
    st.sampled_from(["x", "(x)", LONG, "'é, ('", "(é, 1)", "f'{g(x)}'", "[a for a in b]"]),
    lambda inner: st.builds(
        lambda name, args, gap: f"{name}({gap.join(args)})",
        st.sampled_from(["f", "é.g"]),
        st.lists(inner, max_size=4),
        st.sampled_from([", ", ",\n  ", ", # é, (\n"]),
    ),
    max_leaves=12,
)


@given(CALL)
def test_the_code_says_the_same(call):
    text = f"if x:\n    y = {call}  # é, (\n"
    assert ast.dump(ast.parse(wrapped("", text))) == ast.dump(ast.parse(text))
