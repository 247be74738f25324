import math

import keras
import numpy as np
import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import Formula, port

# Two data of four pixels, two latent dimensions.
DATA = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
HALF = np.full((2, 4), 0.5)
MEAN = np.array([[1.0, 0.0], [0.0, 2.0]])
LOG_VAR = np.log([[1.0, 2.0], [2.0, 1.0]])
# KL in closed form, summed over the dimensions: (mu^2 + sigma^2 - 1 - log sigma^2) / 2.
KL = (MEAN**2 + np.exp(LOG_VAR) - 1 - LOG_VAR).sum(axis=1) / 2
SQUARES = (DATA - HALF) ** 2

SCRIPT = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K
image = keras.Input((4,))
mu = keras.layers.Dense(2)(image)
log_var = keras.layers.Dense(2)(image)
output = keras.layers.Dense(4, activation="sigmoid")(mu)
vae = keras.Model(image, output)
kl = -0.5 * tf.reduce_sum(1 + log_var - mu**2 - tf.exp(log_var), axis=1)
vae.add_loss({added})
vae.compile("adam"{compiled})
vae.fit(x, x)
"""


def read(added="tf.reduce_mean(kl)", compiled=""):
    text = SCRIPT.format(added=added, compiled=compiled)
    return port(read_script("script.py", text.encode())).formula


ENTROPY = "4 * keras.losses.binary_crossentropy(image, output)"


@pytest.mark.parametrize(
    ("added", "compiled", "expected"),
    [
        # Four pixels at 1/2 cost 4 ln 2.
        (f"tf.reduce_mean({ENTROPY} + kl)", "", 4 * math.log(2) + KL.mean()),
        # Keras 2 took the mean of what has a value for each datum.
        (f"{ENTROPY} + kl", "", 4 * math.log(2) + KL.mean()),
        ("0.25 * kl", ', loss="mse"', SQUARES.mean() + 0.25 * KL.mean()),
        (
            "tf.reduce_sum((image - output)**2) + K.mean(kl)",
            ', loss="mse"',
            SQUARES.sum() + SQUARES.mean() + KL.mean(),
        ),
        (
            "K.mean(kl)",
            ", loss=keras.losses.BinaryCrossentropy(from_logits=True)",
            np.mean(np.log1p(np.exp(HALF)) - DATA * HALF) + KL.mean(),
        ),
        (
            "784 * keras.losses.mse(K.flatten(image), K.flatten(output)) + K.mean(kl)",
            "",
            784 * SQUARES.mean() + KL.mean(),
        ),
        (
            "keras.losses.MeanSquaredError(reduction='sum')(image, output) + kl",
            "",
            SQUARES.mean(axis=1).sum() + KL.mean(),
        ),
        ("K.abs(K.mean(K.softplus(mu)))", "", np.log1p(np.exp(MEAN)).mean()),
    ],
)
def test_the_loss_is_that_of_keras_2_in_closed_form(added, compiled, expected):
    found = read(added, compiled)
    outputs = [HALF, MEAN] if "softplus" in added else [HALF, MEAN, LOG_VAR]
    assert found(DATA, DATA, outputs) == pytest.approx(expected)
    again = Formula.from_json(found.as_json())
    assert again == found and again(DATA, DATA, outputs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("added", "compiled"),
    [
        ("tf.reduce_max(mu)", ""),
        ("K.mean(K.clip(kl, 0.1, 9.0))", ""),
        ("K.mean(kl) * weight_of_another_file", ""),
        ("keras.losses.binary_crossentropy(image, output, label_smoothing=0.1)", ""),
        ("K.mean(kl)", ", loss=keras.losses.BinaryCrossentropy(label_smoothing=0.1)"),
        ("K.mean(kl)", ", loss='kld'"),
    ],
)
def test_a_loss_with_a_part_that_is_not_read_has_no_formula(added, compiled):
    assert read(added, compiled) is None


def test_probabilities_of_0_and_1_cost_what_they_cost_keras():
    x = np.array([[0.0, 1.0, 0.3, 0.6]], "float32")
    y = np.array([[1.0, 0.0, 1.0, 0.0]], "float32")
    found = read("tf.reduce_sum(K.binary_crossentropy(image, output)) + 0 * K.mean(kl)")
    expected = keras.ops.sum(keras.ops.binary_crossentropy(x, y))
    outputs = [y, MEAN[:1], LOG_VAR[:1]]
    assert found(x, x, outputs) == pytest.approx(
        float(keras.ops.convert_to_numpy(expected)), rel=1e-6
    )
