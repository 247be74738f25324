"""What goes into a binary cross-entropy can be any probability, or any logit."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
import tensorflow as tf
from keras import layers, ops
from keras.losses import BinaryCrossentropy as BCE

image = keras.Input((784,))
h = layers.Dense(2)(image)
images = layers.Conv2D({channels}, 3, activation="softmax")(keras.Input((28, 28, 1)))
output = {output}
loss = {loss}
"""
PROBABILITIES = "BCE()(image, output)"
LOGITS = "BCE(from_logits=True)(image, output)"
OF_TENSORFLOW = "tf.nn.sigmoid_cross_entropy_with_logits(labels=image, logits=output)"


def found(output, loss, channels=1):
    text = SCRIPT.format(output=output, loss=loss, channels=channels)
    findings = examine(read_script("script.py", text.encode()), select(["KLB214"]))
    return [finding.happens for finding in findings]


@pytest.mark.once
@pytest.mark.parametrize(
    ("output", "loss", "what"),
    [
        ('layers.Dense(784, "tanh")(h)', PROBABILITIES, "below 0 is clipped"),
        ('layers.Dense(784, "relu")(h)', PROBABILITIES, "above 1 is clipped"),
        ("layers.ReLU()(layers.Dense(784)(h))", PROBABILITIES, "above 1 is clipped"),
        ("ops.relu(layers.Dense(784)(h))", PROBABILITIES, "above 1 is clipped"),
        ('layers.Dense(784, "softplus")(h)', PROBABILITIES, "above 1 is clipped"),
        ('layers.Dense(784, "softmax")(h)', PROBABILITIES, "add up to 1"),
        ("images", PROBABILITIES, "always 1"),
        ('layers.Dense(784, "tanh")(h)', LOGITS, "between 0.27 and 0.73"),
        ("layers.Dense(784, tf.nn.relu)(h)", OF_TENSORFLOW, "below 0.5"),
        ('layers.Dense(4, "softmax")(h)', LOGITS, "add up to 1"),
        ('layers.Activation("softmax")(layers.Dense(4)(h))', OF_TENSORFLOW, "add up to 1"),
    ],
)
def test_what_cannot_be_reached(output, loss, what):
    (happens,) = found(output, loss)
    assert what in happens


@pytest.mark.once
@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ('layers.Dense(784, "sigmoid")(h)', PROBABILITIES),
        ("layers.Dense(784)(h)", LOGITS),
        ('layers.Dense(784)(layers.Dense(8, "relu")(h))', LOGITS),
        ('layers.Dense(10, "softmax")(h)', PROBABILITIES),
        ('layers.Dense(2, "softmax")(h)', PROBABILITIES),
        ("layers.ReLU(max_value=1.0)(layers.Dense(784)(h))", PROBABILITIES),
        ('layers.Dense(784, "relu6")(h)', PROBABILITIES),
        ('layers.Dense(784, "relu")(h)', "BCE(from_logits=flag)(image, output)"),
        ('layers.Dense(784, "relu")(h)', "keras.losses.mse(image, output)"),
    ],
)
def test_what_is_right_or_not_known(output, loss):
    assert not found(output, loss)


@pytest.mark.once
def test_a_softmax_over_classes_is_right():
    assert not found("images", PROBABILITIES, channels=3)
