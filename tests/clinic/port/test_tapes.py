import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = """\
import tensorflow as tf
import keras
model = keras.Sequential([keras.layers.Dense(4)])
adam = keras.optimizers.Adam()
"""
TAPE = """\
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(model(x) - x))
weights = model.trainable_weights
adam.apply_gradients(zip(tape.gradient(loss, weights), weights))
"""
MARK = "# kelbo port: left as it was: tf."


def ported(code):
    return port(read_script("script.py", f"{HEAD}{code}".encode()))


def indented(code, by=4):
    return "".join(f"{' ' * by}{line}\n" for line in code.splitlines())


@pytest.mark.parametrize(
    "code",
    [
        f"@tf.function\ndef step(x):\n{indented(TAPE)}step(data)\n",
        f"def step(x):\n{indented(TAPE)}",  # whoever calls it
        f"for x in data:\n{indented(TAPE)}",
        f"for x in data:\n{indented(TAPE)}{indented(TAPE)}",
        f"class Own(keras.Model):\n    def train_step(self, x):\n{indented(TAPE, 8)}",
    ],
)
def test_training_by_a_tape_is_marked_once(code):
    result = ported(code)
    (left,) = result.left
    assert "tf.GradientTape" in left.reason and "fit" in left.reason
    lines = result.text.splitlines()
    (marked,) = [n for n, line in enumerate(lines) if MARK in line]
    assert lines[marked + 1].strip() == "with tf.GradientTape() as tape:"


def test_each_function_with_a_tape_is_marked():
    step = f"def {{}}(x):\n{indented(TAPE)}"
    result = ported(step.format("generator_step") + step.format("discriminator_step"))
    assert len(result.left) == result.text.count(MARK) == 2


def test_a_compiled_function_that_calls_a_model_is_marked():
    result = ported("@tf.function\ndef draw(z):\n    return model(z)\n\ndraw(data)\n")
    (left,) = result.left
    assert "tf.function" in left.reason
    assert f"{MARK}function" in result.text and "\n@tf.function\ndef draw(z):\n" in result.text


def test_a_compiled_function_of_data_stays():
    assert not ported("@tf.function\ndef scaled(x):\n    return x / 255\n\nscaled(data)\n").left


def test_layers_of_tensorflow_probability_are_marked_once():
    head = "import tensorflow_probability as tfp\n"
    layer = "keras.layers.Dense(4)\nz = tfp.layers.IndependentNormal(2)\n"
    result = ported(f"{head}{layer}{layer}")
    (left,) = result.left
    assert "TensorFlow Probability belong to Keras 2" in left.reason
    assert f"{left.reason}\nz = tfp.layers" in result.text
    assert not ported(f"{head}prior = tfp.distributions.Normal(0.0, 1.0)\n").left
