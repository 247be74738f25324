import ast

import libcst as cst
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.port.edits import Edits, Unportable, indented, with_argument, without


def call(code):
    return cst.ensure_type(cst.parse_expression(code), cst.Call)


def code(node):
    return cst.Module([]).code_for_node(node)


def test_positions_are_found_behind_letters_of_two_bytes():
    text = 'é = "é"; x = (  a )  # é\n'
    tree = ast.parse(text)
    edits = Edits(text)
    edits.respell(tree.body[1].value, "b.c")
    assert edits.apply() == 'é = "é"; x = (  b.c )  # é\n'


def test_a_moved_statement_keeps_its_comment_and_its_changes():
    text = "x = 0\n# above\ny = f(1)  # beside\nz = 2\n"
    tree = ast.parse(text)
    edits = Edits(text)
    moved = edits.move(tree.body[1])
    edits.respell(tree.body[1].value.args[0], "3")
    edits.insert(tree.body[2], lambda: "def g():\n" + indented(moved()))
    code = "def g():\n    # above\n    y = f(3)  # beside\n"
    assert edits.apply() == f"x = 0\n\n\n{code}\n\nz = 2\n"


def test_a_moved_statement_leaves_its_blank_line():
    text = "x = 0\n\n# above\n\ny = 1\nz = 2\n"
    edits = Edits(text)
    moved = edits.move(ast.parse(text).body[1])
    assert edits.apply() == "x = 0\n\nz = 2\n"
    assert moved() == "# above\ny = 1"


def test_a_removed_statement_leaves_its_comments():
    text = "if x:\n    # above\n    y()  # beside\n    z()\n"
    edits = Edits(text)
    comments = edits.remove(ast.parse(text).body[0].body[0])
    assert edits.apply() == "if x:\n    z()\n"
    assert comments() == "# above\n# beside\n"


def test_a_heading_above_a_removed_statement_stays():
    text = "x = 0\n\n# Heading\n\n# above\ny()\n\n# Other\n\nz()\nw = 1\n"
    tree = ast.parse(text)
    edits = Edits(text)
    comments = edits.remove(tree.body[1])
    edits.remove(tree.body[2])
    assert edits.apply() == "x = 0\n\n# Heading\n\n# Other\n\nw = 1\n"
    assert comments() == "# above\n"
    edits = Edits(text)
    edits.remove(tree.body[1])
    edits.insert(tree.body[2], lambda: "def f():\n    pass\n")
    made = edits.apply()
    assert "\n# Heading\n" in made.partition("def f")[0] and "# above" not in made


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x = 0\n\ngone()\ny = 1\n", "x = 0\n\ny = 1\n"),
        ("x = 0\ngone()\n\ny = 1\n", "x = 0\n\ny = 1\n"),
        ("x = 0\n\ngone()\n\ny = 1\n", "x = 0\n\ny = 1\n"),
        ("x = 0\n\ngone()\n\n\ndef f(): ...\n", "x = 0\n\n\ndef f(): ...\n"),
        ("x = 0\n\n\ngone()\n\n\ny = 1\n", "x = 0\n\n\ny = 1\n"),  # as the author had it
        ("x = 0\n\n\ndef gone(): ...\n\n\ny = 1\n", "x = 0\n\ny = 1\n"),
        ("class C: ...\n\n\ndef gone(): ...\n\n\ny = 1\n", "class C: ...\n\n\ny = 1\n"),
        ("def f():\n    gone()\n\n    return 1\n", "def f():\n    return 1\n"),
        ("gone()\n\ny = 1\n", "y = 1\n"),
    ],
)
@pytest.mark.parametrize("way", ["remove", "move"])
def test_no_gap_is_left_where_something_stood(text, after, way):
    edits = Edits(text)
    gone = next(
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and ast.unparse(node).startswith(("gone", "def gone"))
    )
    getattr(edits, way)(gone)
    assert edits.apply() == after


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1))
def test_arguments_come_and_go(names):
    made = call(f"f({', '.join(f'{name}=1' for name in names)})")
    for name in names:
        made = without(made, None, name)
    assert code(made) == "f()"
    for name in names:
        made = with_argument(made, f"{name}=1")
    assert code(made) == f"f({', '.join(f'{name}=1' for name in names)})"


def test_arguments_keep_their_lines():
    text = "f(\n    a,\n    b=1,\n)"
    assert code(with_argument(call(text), "c=2")) == "f(\n    a,\n    b=1,\n    c=2,\n)"
    assert code(without(call(text), 1, "b")) == "f(\n    a,\n)"


def test_comments_stay_beside_their_arguments():
    text = "f(  # f\n    # above\n    a,  # a\n    b=1,  # b\n)"
    added = "f(  # f\n    # above\n    a,  # a\n    b=1,  # b\n    c=2,\n)"
    assert code(with_argument(call(text), "c=2")) == added
    assert code(without(call(text), 1, "b")) == "f(  # f\n    # above\n    a,  # a\n)"
    text = "f(a,\n  b=1  # b\n  )"
    assert code(with_argument(call(text), "c=2")) == "f(a,\n  b=1,  # b\n  c=2\n  )"
    assert code(without(call(text), 1, "b")) == "f(a\n  )"


def test_statements_that_share_a_line_are_left():
    text = "x = 1; y = 2\nif x: y = 3\n"
    tree = ast.parse(text)
    for statement in (*tree.body[:2], tree.body[2].body[0]):
        with pytest.raises(Unportable, match="shares its line"):
            Edits(text).move(statement)


def test_code_is_put_before_a_line_of_two_statements():
    text = "x = 1; y = 2\n"
    tree = ast.parse(text)
    edits = Edits(text)
    edits.insert(tree.body[0], lambda: "z = 0\n")
    assert edits.apply() == "z = 0\n\n\nx = 1; y = 2\n"
    with pytest.raises(Unportable, match="shares its line"):
        edits.insert(tree.body[1], lambda: "z = 0\n")
