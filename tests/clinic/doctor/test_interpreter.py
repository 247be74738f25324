"""What is known of a script's names without running it."""

import ast

import pytest

from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.values import (
    UNKNOWN,
    Constant,
    Items,
    Known,
    Tensor,
    is_symbolic,
    known_names,
    options,
)


def last(code):
    """What the last line of a script is."""
    tree = ast.parse(code)
    return read(tree).value(tree.body[-1].value)


@pytest.mark.parametrize(
    "code",
    [
        "import keras\nkeras.layers.Dense",
        "import tensorflow as tf\ntf.keras.layers.Dense",
        "from tensorflow.keras import layers as L\nL.Dense",
        "from tensorflow.keras.layers import Dense\nDense",
        "import tensorflow.keras.layers as L\nL.Dense",
        "import tensorflow.keras.layers\ntensorflow.keras.layers.Dense",
        "import tf_keras\ntf_keras.layers.Dense",
        "from tensorflow import keras\nlayers = keras.layers\nlayers.Dense",
        "from tensorflow.keras.layers import *\nDense",
        "from keras.models import *\nfrom keras.layers import *\nDense",
        "try:\n    from tensorflow import keras\nexcept ImportError:\n    import keras\n"
        "keras.layers.Dense",
        "def f():\n    global k\n    import keras as k\nf()\nk.layers.Dense",
    ],
)
def test_a_library_is_known_by_whatever_name_it_is_imported(code):
    value = last(code)
    assert isinstance(value, Known)
    assert value.name == "keras.layers.Dense"


HEAD = "import keras\nimport numpy as np\nx = keras.Input((4,))\n"


@pytest.mark.parametrize(
    ("code", "symbolic"),
    [
        ("x", True),
        ("keras.layers.Dense(2)(x)", True),
        ("2 * keras.layers.Dense(2)(x) + 1", True),
        ("[1, {'a': x}]", True),
        ("keras.ops.exp(x)", True),
        ("keras.Model(x, x)(x)", True),
        ("keras.Model(x, [x, x]).output[1]", True),
        ("keras.Sequential([keras.layers.Dense(2)])(x)", True),
        ("keras.Model(x, x).get_layer('a').output", True),
        ("keras.Model(x, x)", False),
        ("keras.Model(x, x).predict(np.zeros((2, 4)))", False),
        ("keras.Model(x, x)(np.zeros((2, 4)))", False),
        ("x.shape[-1]", False),
        ("x if unknown else 3", False),
        ("np.zeros(3)", False),
        ("unknown(x)", False),
    ],
)
def test_what_is_symbolic(code, symbolic):
    assert is_symbolic(last(HEAD + code)) == symbolic


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("a = 2\na * 3 + 1\n", Constant(7)),
        ("a, (b, c) = 1, (2, 3)\nc\n", Constant(3)),
        ("a = b = 4\nb\n", Constant(4)),
        ("a = 1\na += 2\na\n", Constant(3)),
        ("def f(x, y=2):\n    return x * y\nf(5)\n", Constant(10)),
        ("def f(x, *, y):\n    return x - y\nf(y=1, x=3)\n", Constant(2)),
        ("f = lambda x: (x, 1)\nf(5)[0]\n", Constant(5)),
        ("class A:\n    b = 3\nA.b\n", Constant(3)),
        ("class A:\n    def __init__(self, b):\n        self.b = b\nA(6).b\n", Constant(6)),
        ("def f():\n    def g():\n        return a\n    a = 8\n    return g()\nf()\n", Constant(8)),
        ("{'a': 1, 'b': 2}['b']\n", Constant(2)),
        ("(y := 3)\ny\n", Constant(3)),
        ("class A:\n    @property\n    def b(self):\n        return 3\nA().b\n", Constant(3)),
        (
            "class A:\n    c = 4\n    @classmethod\n    def b(cls, d):\n        return cls.c + d\n"
            "A.b(1)\n",
            Constant(5),
        ),
        (
            "class A:\n    def __init__(self, b):\n        self.b = b\n"
            "class B(A):\n    def __init__(self):\n        super().__init__(7)\nB().b\n",
            Constant(7),
        ),
        (
            "class A:\n    def b(self):\n        return 2\n"
            "class B(A):\n    def b(self):\n        return super(B, self).b() + 1\nB().b()\n",
            Constant(3),
        ),
    ],
)
def test_values_go_through_names_functions_and_objects(code, value):
    assert last(code) == value


def test_what_differs_between_branches_is_a_choice():
    value = last("if unknown:\n    a = 1\nelse:\n    a = 2\na")
    assert set(options(value)) == {Constant(1), Constant(2)}
    assert last("a = 1\nif unknown:\n    raise ValueError\na") == Constant(1)
    value = last("a = 1\nif unknown:\n    a = 2\na")
    assert set(options(value)) == {Constant(1), Constant(2)}


BRANCHES = """
def f(pair=None, *, number=3, layers=()):
    if TEST:
        return 1, 2
    else:
        other = 4
    return 5
"""


@pytest.mark.parametrize(
    ("test", "call", "value"),
    [
        ("pair", "f()", Constant(5)),
        ("pair", "f(True)", Items((Constant(1), Constant(2)))),
        ("not pair", "f()", Items((Constant(1), Constant(2)))),
        ("not pair", "f([4])", Constant(5)),
        ("pair is None", "f()", Items((Constant(1), Constant(2)))),
        ("pair is None", "f([])", Constant(5)),
        ("pair is not None", "f(print)", None),
        ("number == 3", "f()", Items((Constant(1), Constant(2)))),
        ("number == 3", "f(number=2)", Constant(5)),
        ("layers", "f()", None),  # it may have been filled by append
        ("layers", "f(layers=[1])", Items((Constant(1), Constant(2)))),
        ("number > 2", "f()", None),
        ("pair", "f(unknown)", None),
        ("flag", "f()", None),  # others may change it
    ],
)
def test_a_branch_is_decided_where_it_can_be(test, call, value):
    found = last(f"flag = True\n{BRANCHES.replace('TEST', test)}{call}\n")
    assert found == value if value is not None else len(options(found)) == 2


@pytest.mark.parametrize(
    "code",
    [
        "def f(a=None):\n    return 1 if a is None else (1, 2)\nf()\n",
        "def f(a=1):\n    if a == 2:\n        return 2, 2\n    return 1\nf()\n",
        "def f(a=0):\n    if a == 0:\n        a = 1\n    else:\n        a = 2\n    return a\nf()\n",
    ],
)
def test_what_a_branch_not_taken_returns_or_binds_does_not_count(code):
    assert last(code) == Constant(1)


def test_what_a_branch_not_taken_calls_is_known():
    code = "import keras\ndef f(a=None):\n    if a is not None:\n        keras.Input((a,))\nf()\n"
    assert [*read(ast.parse(code)).calls_of("keras.Input")]


def test_a_function_of_two_forms_is_unknown_once_it_is_followed_no_more():
    code = "def f(a=None):\n    if a is None:\n        return 1, 2\n    return 3\n"
    assert last(f"{code}f()\nf(1)\nf(1)\nf()\n") == UNKNOWN


def test_a_loop_calls_each_layer():
    code = (
        f"{HEAD}for layer in [keras.layers.Dense(5), keras.layers.Dense(3)]:\n    x = layer(x)\nx"
    )
    assert last(code).shape == (None, 3)


def test_a_user_layer_is_followed_with_its_inputs():
    code = """
import keras

class Pair(keras.layers.Layer):
    def call(self, inputs):
        return inputs, keras.layers.Dense(3)(inputs)

Pair()(keras.Input((4,)))
"""
    value = last(code)
    assert isinstance(value, Items)
    assert [(item.shape, item.symbolic) for item in value.items] == [
        ((None, 4), True),
        ((None, 3), True),
    ]


def test_one_tensor_is_one_tensor_whatever_it_is_called():
    value = last(f"{HEAD}y = [x]\nz = y[0]\n(x - z, x + z - 2 * x)")
    assert [item.expression.number for item in value.items] == [0.0, 0.0]
    value = last("a = unknown()\nb = a\na - b")
    assert isinstance(value, Tensor)
    assert value.expression.number == 0.0


def test_what_looks_at_versions_is_guarded():
    code = """
import keras
if keras.__version__.startswith("2"):
    keras.backend.mean(1)
keras.backend.sum(1)
try:
    keras.backend.exp(1)
except AttributeError:
    pass
"""
    calls = {name: call.guarded for call in read(ast.parse(code)).calls for name in call.names}
    assert calls["keras.backend.mean"] and calls["keras.backend.exp"]
    assert not calls["keras.backend.sum"]


def test_a_step_is_what_keras_calls():
    code = f"""{HEAD}
class VAE(keras.Model):
    def call(self, x):
        return helper(x)

    def train_step(self, data):
        return keras.ops.log(data)

def helper(x):
    return keras.ops.exp(x)

def loss(y_true, y_pred):
    return keras.ops.mean(y_pred)

VAE().compile("adam", loss=loss)
keras.ops.sum(x)
"""
    program = read(ast.parse(code))
    steps = {name: call.step and call.step.kind for call in program.calls for name in call.names}
    assert steps["keras.ops.exp"] == "call"
    assert steps["keras.ops.log"] == "train_step"
    assert steps["keras.ops.mean"] == "loss"
    assert steps["keras.ops.sum"] is None
    assert known_names(program.classes[0].bases[0]) == {"keras.Model"}


def test_of_what_a_step_reads_the_outer_name_counts():
    code = f"""{HEAD}
def loss(y_true, y_pred, scale=x):
    inner = x
    return inner * 2 + scale * inner + x.shape[-1]

keras.Model(x, x).compile("adam", loss=loss)
"""
    reads = read(ast.parse(code)).symbolic_reads
    assert [(read.name, read.step.kind) for read in reads] == [("scale", "loss"), ("x", "loss")]
