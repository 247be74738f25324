"""What a script does with a model that the port would change leaves the model as it was."""

import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = """\
import numpy as np
from keras import backend as K, callbacks
from keras.layers import Dense, Input, Lambda
from keras.models import Model
x = Input((8,))
mu, log_var = Dense(2)(x), Dense(2)(x)
z = Lambda(lambda t: t[0] + K.exp(t[1] / 2) * K.random_normal(K.shape(t[0])))([mu, log_var])
y = Dense(OUTPUTS)(z)
vae = Model(x, y)
data = np.zeros((4, 8))
"""
CLOSURE = """\
def loss(a, b):
    kl = -0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
    return K.sum(K.square(a - b), axis=-1) + kl
vae.compile("adam", loss=loss)
"""
ADDED = """\
rec = K.sum(K.square(x - y), axis=-1)
kl = -0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
CHANGE
vae.add_loss(K.mean(rec + kl))
vae.compile("adam")
"""


def ported(text, outputs=8):
    return port(read_script("script.py", (HEAD + text).replace("OUTPUTS", str(outputs)).encode()))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            CLOSURE + "class Show(callbacks.Callback):\n"
            "    def on_epoch_end(self, epoch, logs=None):\n        print(self.model(data)[0])\n",
            "self.model",
        ),
        (
            CLOSURE + "class Show(callbacks.Callback):\n"
            "    def on_epoch_end(self, epoch, logs=None):\n"
            "        self.model.predict_on_batch(data)\n",
            "predict_on_batch",
        ),
        (CLOSURE + 'vae.compile("sgd", loss=loss)\n', "compiled more than once"),
        (CLOSURE + "vae.fit(data, data, sample_weight=data[:, 0])\n", "sample_weight"),
        (ADDED.replace("CHANGE", "for part in [mu]:\n    kl += K.sum(part)"), "block of its own"),
        (ADDED.replace("CHANGE", "try:\n    kl *= 0.5\nexcept TypeError:\n    pass"), "block of"),
        (ADDED.replace("CHANGE", "while True:\n    kl = 0.5 * kl\n    break"), "block of its own"),
    ],
    ids=["called", "on-batch", "twice", "weighed", "for", "try", "while"],
)
def test_a_use_that_the_port_would_change_is_left(text, reason):
    result = ported(text)
    assert any(reason in one.reason for one in result.left), result.left
    assert "def compute_loss" not in result.text


@pytest.mark.parametrize("text", [CLOSURE, ADDED.replace("CHANGE\n", "")], ids=["loss", "added"])
def test_weights_that_come_with_the_data_are_refused_when_they_come(text):
    result = ported(text + "vae.fit(data, data, sample_weight=None)\n")
    assert not result.left
    assert 'raise ValueError("This loss takes no sample weights.")' in result.text


@pytest.mark.parametrize(("outputs", "shaped"), [(1, True), (8, False)])
def test_a_target_without_a_last_axis_gets_it_where_the_output_has_one_value(outputs, shaped):
    text = ported(CLOSURE, outputs).text
    assert ("y = ops.reshape(y, (-1, 1))" in text) == shaped


def test_data_by_the_names_of_several_inputs_are_left():
    text = (
        'clean = Input((8,), name="clean")\nvae = Model([x, clean], y)\n'
        + ADDED.replace("CHANGE\n", "").replace("x - y", "clean - y")
        + 'named = {"x": data, "clean": data}\nvae.fit(named)\n'
    )
    assert any("by their names" in one.reason for one in ported(text).left)
