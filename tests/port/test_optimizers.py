import pytest

from kelbo.doctor.source import read_script
from kelbo.port import port

HEAD = "from tensorflow import keras\nrate = 0.01\nepochs = 10\n"
SCHEDULE = "keras.optimizers.schedules.InverseTimeDecay({}, decay_steps=1, {})"


def ported(code, head=HEAD):
    result = port(read_script("script.py", f"{head}optimizer = {code}\n".encode()))
    made = " ".join(result.text.partition("optimizer = ")[2].split())
    return made.replace("( ", "(").replace(", )", ")").replace(" )", ")"), result.left


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("keras.optimizers.Adam(lr=0.1)", "keras.optimizers.Adam(learning_rate=0.1)"),
        ("keras.optimizers.Adam(lr=rate, decay=0.0)", "keras.optimizers.Adam(learning_rate=rate)"),
        ("keras.optimizers.Adam(decay=None)", "keras.optimizers.Adam()"),
        ("keras.optimizers.Adam(rate, epsilon=None)", "keras.optimizers.Adam(rate)"),
        ("keras.optimizers.adam(lr=rate)", "keras.optimizers.Adam(learning_rate=rate)"),
        ("keras.optimizers.legacy.SGD(lr=rate)", "keras.optimizers.SGD(learning_rate=rate)"),
        ("keras.optimizers.Adam(clipnorm=1.0)", "keras.optimizers.Adam(clipnorm=1.0)"),
    ],
)
def test_names_and_options_of_today(before, after):
    assert ported(before) == (after, ())


@pytest.mark.parametrize(
    ("before", "rate", "decay", "others"),
    [
        ("SGD(lr=rate, decay=1e-6, momentum=0.9)", "rate", "1e-6", ", momentum=0.9"),
        ("RMSprop(rate, decay=rate / epochs)", "rate", "rate / epochs", ""),
        ("Adam(decay=1e-6)", "0.001", "1e-6", ""),
        ("SGD(decay=1e-6)", "0.01", "1e-6", ""),
    ],
)
def test_a_decay_is_a_schedule(before, rate, decay, others):
    name = before.partition("(")[0]
    made, left = ported(f"keras.optimizers.{before}")
    assert made.startswith(f"keras.optimizers.{name}(") and not left
    assert SCHEDULE.format(rate, f"decay_rate={decay}") + others + ")" in made


def test_the_schedule_is_the_decay_of_keras_2():
    import keras

    optimizer = eval(ported("keras.optimizers.SGD(lr=0.1, decay=0.5)")[0], {"keras": keras})
    for step in (0, 1, 6):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(0.1 / (1 + 0.5 * step))


@pytest.mark.parametrize(
    ("code", "head", "reason"),
    [
        ("Adam(schedule, decay=0.1)", "schedule = keras.optimizers.schedules.ExponentialDecay(1)",
         "has a schedule already"),
        ("Adam(decay=0.1)", "callback = keras.callbacks.ReduceLROnPlateau()", "ReduceLROnPlateau"),
        ("Nadam(schedule_decay=0.1)", "", "Nadam takes no schedule_decay"),
        ("Adam(**options)", "options = {'decay': d}", ""),
    ],
)  # fmt: skip
def test_what_no_schedule_says_is_left(code, head, reason):
    made, left = ported(f"keras.optimizers.{code}", f"{HEAD}{head}\n")
    assert made == f"keras.optimizers.{code}"
    assert [reason in one.reason for one in left] == [True] * bool(reason)


@pytest.mark.parametrize("kind", ["Adadelta", "Adagrad", "Adamax", "Nadam"])
@pytest.mark.parametrize("options", ["decay=0.1", "epsilon=None, decay=0.0"])
def test_a_rate_that_keras_2_had_otherwise_is_left(kind, options):
    made, (left,) = ported(f"keras.optimizers.{kind}({options})", "import keras\n")
    assert made == f"keras.optimizers.{kind}({options})"
    assert f"{kind} had another learning rate" in left.reason
    for head, rate in ((HEAD, ""), ("import keras\n", "lr=0.002, ")):
        assert not ported(f"keras.optimizers.{kind}({rate}{options})", head)[1]
    text = f"keras.optimizers.{kind}()"
    assert ported(text, "import keras\n") == (text, ())  # it may be of Keras 3


def test_an_optimizer_of_a_wildcard():
    head = "from keras.layers import *\nfrom keras.optimizers import *\n"
    assert ported("Adam(lr=0.1)", head) == ("Adam(learning_rate=0.1)", ())


def test_an_optimizer_of_tensorflow_1_is_left():
    made, left = ported("tf.train.AdamOptimizer(rate)", "import tensorflow as tf\nrate = 1\n")
    assert made == "tf.train.AdamOptimizer(rate)"
    assert "TensorFlow's alone" in left[0].reason
