"""The KL term is recognised in every way in which it is written, and no other formula is."""

import ast
import itertools

import pytest

from kelbo.clinic.doctor.divergence import match_kl
from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.objective import losses, scale
from kelbo.clinic.doctor.values import Tensor

HEAD = "import tensorflow as tf\nfrom tensorflow.keras import backend as K\nfrom keras import ops\n"


def kl_of(code):
    """The KL term that the last line of a function of mu and lv is."""
    tree = ast.parse(f"{HEAD}def f(mu, lv, sigma, x):\n    return {code}\n")
    value = read(tree).value(tree.body[-1].body[-1].value)
    return match_kl(value.expression) if isinstance(value, Tensor) else None


PARTS = ("+ 1", "+ lv", "- K.square(mu)", "- tf.exp(lv)")


@pytest.mark.parametrize("parts", list(itertools.permutations(PARTS)), ids=" ".join)
def test_the_order_of_its_parts_does_not_matter(parts):
    assert kl_of(" ".join(parts)).factor == 1.0


@pytest.mark.parametrize(
    ("code", "factor"),
    [
        ("-0.5 * (1 + lv - mu**2 - tf.exp(lv))", -0.5),
        ("(mu * mu + ops.exp(lv) - lv - 1) / 2", -0.5),
        ("0.5 * (ops.square(mu) + K.exp(lv) - 1 - lv)", -0.5),
        ("tf.square(mu) + tf.exp(lv) - 1.0 - lv", -1.0),
        ("1 + 2 * lv - tf.square(mu) - tf.exp(2 * lv)", 1.0),
        ("1 + 2 * lv - tf.square(mu) - tf.exp(lv) ** 2", 1.0),
        ("1 + tf.math.log(tf.square(sigma)) - tf.square(mu) - tf.square(sigma)", 1.0),
        ("1 + 2 * K.log(sigma) - K.pow(mu, 2) - K.pow(sigma, 2)", 1.0),
        ("tf.add(1.0, lv) - tf.square(mu) - tf.math.exp(lv)", 1.0),
        ("tf.subtract(1 + lv, tf.square(mu)) - tf.exp(lv)", 1.0),
        ("lv - mu**2 - tf.exp(lv)", 1.0),
    ],
)
def test_it_is_found_with_its_factor(code, factor):
    found = kl_of(code)
    assert (found.factor, found.mistake) == (factor, "")


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("1 + lv - mu**2 - tf.exp(2 * lv)", "variance"),
        ("1 + 2 * lv - mu**2 - tf.exp(lv)", "variance"),
        ("1 + lv - mu**2 - tf.exp(0.5 * lv)", "variance"),
        ("1 + lv + mu**2 - tf.exp(lv)", "mu^2 has the wrong sign"),
        ("1 + lv - mu**2 + tf.exp(lv)", "exp(log_var) has the wrong sign"),
        ("1 - lv - mu**2 - tf.exp(lv)", "log_var has the wrong sign"),
        ("1 + lv - mu - tf.exp(lv)", "not squared"),
    ],
)
def test_a_slip_in_it_is_named(code, mistake):
    found = kl_of(code)
    assert found.factor is None
    assert mistake in found.mistake


@pytest.mark.parametrize(
    "code",
    [
        "lv",
        "1 + lv",
        "tf.exp(lv) - x * lv",  # Poisson
        "0.5 * (lv + (x - mu) ** 2 * tf.exp(-lv))",  # Gaussian likelihood
        "lv + tf.exp(-lv) - 1",
        "1 + lv - mu**2 - tf.exp(lv) - x * x * x",
        "1 + lv - 4 * mu**2 - 4 * tf.exp(lv)",  # a prior of another variance
        "x * tf.math.log(sigma) + (1 - x) * tf.math.log(1 - sigma)",
        "tf.square(x - mu) + tf.square(sigma)",
    ],
)
def test_what_is_another_formula_is_none(code):
    assert kl_of(code) is None


@pytest.mark.parametrize(
    ("reduced", "weight", "elements"),
    [
        ("tf.reduce_mean(t, axis=-1)", 1 / 6, 6),
        ("tf.reduce_sum(t, axis=1)", 1.0, 6),
        ("tf.reduce_mean(tf.reduce_sum(t, axis=-1))", 1.0, 6),
        ("tf.reduce_mean(tf.reduce_mean(t, axis=0))", 1 / 6, 6),
        ("3 * tf.reduce_mean(t)", 3 / 6, 6),
        ("K.sum(t, axis=-1, keepdims=True) / 2", 0.5, 6),
    ],
)
def test_the_weight_of_one_latent_dimension_is_read_off_the_reductions(reduced, weight, elements):
    code = f"""{HEAD}
from tensorflow import keras
image = keras.Input((9,))
layer = keras.layers.Dense(6)

def loss(y_true, y_pred):
    mu, lv = layer(y_true), layer(y_pred)
    t = 1 + lv - mu**2 - tf.exp(lv)
    return {reduced}

model = keras.Model(image, keras.layers.Dense(9)(image))
model.compile("sgd", loss)
"""
    (found,) = losses(read(ast.parse(code)))
    (term,) = found.terms
    measured = scale(term)
    assert measured.weight == pytest.approx(weight)
    assert measured.elements == elements
