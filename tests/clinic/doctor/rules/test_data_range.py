"""What fit is given is what the call of the model has."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from keras import layers, ops

class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.decoder = keras.Sequential([layers.Dense(784, activation="sigmoid")])

    def call(self, x):
        {prepared}
        self.add_loss(ops.mean(keras.losses.binary_crossentropy(x, self.decoder(x))))
        return x

(x_train, _), _ = keras.datasets.mnist.load_data()
vae = VAE()
vae.compile("adam")
vae.fit(x_train{scaled})
"""


@pytest.mark.parametrize(
    ("prepared", "scaled", "pixels"),
    [
        ("pass", ".astype('float32')", "0 to 255"),
        ("pass", " / 127.5 - 1.0", "-1 to 1"),
        ("pass", " / 255.0", None),
        ("x = x / 255.0", "", None),
        ("x = augment(x)", "", None),
        ("x = layers.Rescaling(1 / 255.0)(x)", "", None),
    ],
)
def test_the_targets_in_call_are_those_of_fit(prepared, scaled, pixels):
    script = SCRIPT.format(prepared=prepared, scaled=scaled).encode()
    found = [f.happens for f in examine(read_script("script.py", script), select(["KLB213"]))]
    said = f"The targets of the cross-entropy are images with pixels from {pixels}."
    assert found == ([said] if pixels else [])


STEP = """
import keras
import tensorflow as tf

class VAE(keras.Model):
    def train_step(self, data):
        {prepared}
        with tf.GradientTape() as tape:
            loss = keras.losses.binary_crossentropy(data, self(data))
        return loss

(x_train, _), _ = keras.datasets.mnist.load_data()
vae = VAE()
vae.compile("adam")
vae.fit(x_train)
"""


def test_what_has_the_name_of_the_data_may_be_something_else():
    def found(prepared):
        script = STEP.format(prepared=prepared).encode()
        return examine(read_script("script.py", script), select(["KLB213"]))

    assert found("pass")
    assert not found("data = augment(data)")
