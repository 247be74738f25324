import math

import keras
import numpy as np
import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import Formula, port
from kelbo.clinic.port.formula import Latents, Linear, Pixels

# Two data of four pixels, two latent dimensions.
DATA = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
HALF = np.full((2, 4), 0.5)
MEAN = np.array([[1.0, 0.0], [0.0, 2.0]])
LOG_VAR = np.zeros((2, 2))
MU, L = Linear(1.0, (1,)), Linear(1.0, (2,))


def formula(
    kind="binary_crossentropy",
    from_logits=False,
    pixel=1.0,
    latent=-0.5,
    mean=MU,
    log_var=L,
):
    return Formula((Pixels(kind, from_logits, pixel),), (Latents(latent, mean, log_var),))


def test_the_elbo_in_closed_form():
    # Four pixels at 1/2 cost 4 ln 2; with L = 0 the KL is |mu|^2 / 2: 1/2 and 2.
    expected = 4 * math.log(2) + (0.5 + 2.0) / 2
    assert formula()(DATA, [HALF, MEAN, LOG_VAR]) == pytest.approx(expected)
    logits = formula(from_logits=True)
    assert logits(DATA, [np.zeros((2, 4)), MEAN, LOG_VAR]) == pytest.approx(expected)


def test_squares_weights_and_nested_outputs():
    found = formula(
        "squared_error",
        pixel=0.25,
        latent=-0.25,
        mean=Linear(1.0, (1, 0)),
        log_var=Linear(2.0, (1, 1)),
    )
    log_sigma = np.full((2, 2), math.log(2.0) / 2)  # the variance is 2
    kl = -0.25 * (4 * (1 + math.log(2.0) - 2.0) - 5.0) / 2
    assert found(DATA, [HALF, [MEAN, log_sigma]]) == pytest.approx(0.25 + kl)


def test_it_survives_json():
    assert Formula.from_json(formula().as_json()) == formula()


SCRIPT = """
import tensorflow as tf
from tensorflow import keras
image = keras.Input((4,))
mu = keras.layers.Dense(2)(image)
log_sigma = keras.layers.Dense(2)(image)
output = keras.layers.Dense(4, activation="sigmoid")(mu)
vae = keras.Model(image, output)
kl = 1 + 2 * log_sigma - mu**2 - tf.exp(2 * log_sigma)
vae.add_loss(-3.0 * tf.reduce_mean(kl))
vae.compile("adam", loss="mse")
vae.fit(x, x)
"""


def test_it_is_read_from_the_original():
    found = port(read_script("script.py", SCRIPT.encode())).formula
    # Means over 4 pixels and over 2 latent dimensions.
    assert found == formula("squared_error", pixel=0.25, latent=-1.5, log_var=Linear(2.0, (2,)))


def test_keras_2_added_the_loss_of_compile_to_the_others():
    text = SCRIPT.replace("add_loss(", "add_loss(4 * tf.reduce_mean((image - output)**2) ")
    (compiled, added) = port(read_script("script.py", text.encode())).formula.pixels
    assert (added.weight, compiled.weight) == (1.0, 0.25)


@pytest.mark.parametrize("more", ["tf.reduce_mean(mu)", "tf.reduce_mean((mu - log_sigma)**2)"])
def test_a_loss_with_a_part_that_cannot_be_read_has_no_formula(more):
    text = SCRIPT.replace("add_loss(", f"add_loss({more} ")
    result = port(read_script("script.py", text.encode()))
    assert result.rewritten and result.formula is None


def test_probabilities_of_0_and_1_cost_what_they_cost_keras():
    x = np.array([[0.0, 1.0, 0.3, 0.6]], "float32")
    y = np.array([[1.0, 0.0, 1.0, 0.0]], "float32")
    found = formula(latent=0.0)(x, [y, x, x])
    expected = keras.ops.sum(keras.ops.binary_crossentropy(x, y))
    assert found == pytest.approx(float(keras.ops.convert_to_numpy(expected)), rel=1e-6)
