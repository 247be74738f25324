"""The range that the doctor reads off a script is the range of the array."""

import ast

import numpy as np
import pytest

from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.pixels import changes_in_place, is_within_unit, pixel_range

PIXELS = np.array([[0, 255], [17, 128]], dtype="uint8")
LOAD = "(x, y), _ = mnist.load_data()\n"
HEAD = f"import numpy as np\nfrom keras.datasets import mnist\n{LOAD}"


def range_of(code):
    tree = ast.parse(f"{HEAD}{code}\nx\n")
    return pixel_range(read(tree).value(tree.body[-1].value))


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "x = x / 255.0",
        "x = x.astype('float32') / 255",
        "x = x.astype('float32')\nx /= 255.0",
        "x = (x.astype('float32') - 127.5) / 127.5",
        "x = 1 - 2 * (x / 255.0)",
        "x = np.expand_dims(x, -1).reshape(-1, 4) * (1 / 255.0)",
        "x = (x / 255.0).reshape((2, 2, 1)) - 0.5",
        "x = np.concatenate([x, x], axis=0).astype('float32') / 255",
        "def scale(x):\n    return x / 255.0\nx = scale(x)",
    ],
)
def test_the_range_is_that_of_the_array(code):
    names = {"np": np, "x": PIXELS}
    exec(code, names)
    low, high = range_of(code)
    np.testing.assert_allclose([low, high], [names["x"].min(), names["x"].max()], atol=1e-6)


@pytest.mark.parametrize(
    "code",
    [
        "x = y",
        "x = np.where(x > 127, 1.0, 0.0)",
        "x = (x > 127).astype('float32')",
        "x[x < 127] = 0\nx[x >= 127] = 1",
        "x = x / x.max()",
        "x = np.clip(x, 0, 1)",
        "x = (x - x.mean()) / x.std()",
        "x = x / 255.0 if y else x",
        "x = load(x)",
        "x = np.concatenate([x, x / 255.0])",
    ],
)
def test_what_is_not_a_scale_and_a_shift_is_not_known(code):
    assert range_of(code) is None


def test_rounding_is_no_other_range():
    assert is_within_unit(*range_of("x = x * (1 / 255.0)"))
    assert is_within_unit(0.0, 1.0)
    assert not is_within_unit(-1.0, 1.0) and not is_within_unit(0.0, 255.0)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("for a in (x, y):\n    a /= 255", True),
        ("for i, a in enumerate((x, y)):\n    a[:] = a / 255", True),
        ("def scale(a):\n    a *= 1 / 255\nscale(x)", True),
        ("np.divide(x, 255, out=x)", True),
        ("x /= 255", False),
        ("for i in range(3):\n    x = x / 255\n    total[i] = i", False),
        ("def scale(a):\n    return a / 255", False),
    ],
)
def test_arrays_that_are_scaled_under_another_name_are_noticed(code, changes):
    assert changes_in_place(ast.parse(code)) is changes
