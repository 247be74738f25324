"""The target of a binary cross-entropy comes first, and swapped arguments give another loss."""

import keras
import numpy as np
import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from keras import backend as K

x = keras.Input((4,))
y = keras.layers.Dense(4, activation="sigmoid")(x)
model = keras.Model(x, y)
entropy = keras.losses.BinaryCrossentropy()

def loss(true, pred):
    return {loss}

model.compile("sgd", loss=loss)
model.add_loss({added})
"""
GOOD = "K.binary_crossentropy(true, pred)"


@pytest.mark.parametrize(
    ("loss", "added", "number"),
    [
        (GOOD, "entropy(x, y)", 0),
        ("K.binary_crossentropy(pred, true)", "0", 1),
        ("4 * K.binary_crossentropy(K.flatten(pred), K.flatten(true))", "0", 1),
        ("keras.losses.binary_crossentropy(y_pred=true, y_true=pred)", "0", 1),
        ("keras.losses.binary_crossentropy(y_pred=pred, y_true=true)", "0", 0),
        ("entropy(pred, true)", "0", 1),
        ("keras.losses.mean_squared_error(pred, true)", "0", 0),
        (GOOD, "entropy(y, x)", 1),
        (GOOD, "entropy(y, other)", 0),
    ],
)
def test_the_output_comes_second(loss, added, number):
    script = SCRIPT.format(loss=loss, added=added)
    found = examine(read_script("script.py", script.encode()), select(["KLB216"]))
    assert len(found) == number


def test_the_gradient_no_longer_depends_on_the_output():
    data = np.array([[1.0, 0.0]])
    swapped = [
        float(keras.losses.binary_crossentropy(np.array([[p, 0.5]]), data)[0])
        for p in (0.2, 0.4, 0.6)
    ]
    assert swapped[0] - swapped[1] == pytest.approx(swapped[1] - swapped[2], rel=1e-4)
