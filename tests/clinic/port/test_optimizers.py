import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

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


RATES = {"Adadelta": "1.0", "Adagrad": "0.01", "Adamax": "0.002", "Nadam": "0.002"}
# Keras 3 has no such function.
KERAS_2 = "import keras\nfrom keras import backend as K\nsum = K.sum\n"


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize(
    ("options", "head"),
    [
        ("decay=0.1", "import keras\n"),
        ("epsilon=None, decay=0.0", "import keras\n"),
        ("", KERAS_2),
        ("clipnorm=1.0", KERAS_2),
    ],
)
def test_a_rate_that_keras_2_had_otherwise_is_left(kind, options, head):
    made, (left,) = ported(f"keras.optimizers.{kind}({options})", head)
    assert made == f"keras.optimizers.{kind}({options})"
    assert left.reason == (
        f"the learning rate of {kind} was {RATES[kind]} in Keras 2.3 and before, and is 0.001 "
        f"today: give it yours, keras.optimizers.{kind}(learning_rate={RATES[kind]})."
    )
    for other, rate in ((HEAD, ""), (head, "lr=0.002, ")):
        assert not ported(f"keras.optimizers.{kind}({rate}{options})", other)[1]


@pytest.mark.parametrize("kind", RATES)
def test_a_rate_of_a_script_that_may_be_of_keras_3_stays(kind):
    text = f"keras.optimizers.{kind}()"
    for head in ("import keras\n", "import keras\nepsilon = keras.backend.epsilon()\n"):
        assert ported(text, head) == (text, ())
    assert ported(f"keras.optimizers.{kind}(**options)", KERAS_2)[1] == ()


@pytest.mark.parametrize("kind", ["Adam", "RMSprop", "SGD"])
def test_a_rate_that_is_as_it_was_stays(kind):
    assert ported(f"keras.optimizers.{kind}()", KERAS_2)[1] == ()


MODEL = """\
image = keras.Input((4,))
model = keras.Model(image, keras.layers.Dense(4)(image))
model.compile({}, loss="mse")
"""


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("given", ['"{}"', 'optimizer="{}"', "optimizer=name"])
@pytest.mark.parametrize("spell", [str, str.lower])
def test_an_optimizer_of_a_string_is_left_alike(kind, given, spell):
    name = spell(kind)
    compiled = MODEL.format(given.format(name))
    for head, count in (
        (KERAS_2, 1),
        ("import keras\n", 0),
        (f"{HEAD}sum = keras.backend.sum\n", 0),
    ):
        text = f'{head}name = "{name}"\n{compiled}'
        result = port(read_script("script.py", text.encode()))
        assert [RATES[kind] in left.reason for left in result.left] == [True] * count
        assert compiled.splitlines()[-1] in result.text


@pytest.mark.parametrize("given", ['"rmsprop"', '"adam"', '"sgd"', "unknown", "other()"])
def test_another_string_is_none(given):
    text = KERAS_2 + MODEL.format(given)
    assert not port(read_script("script.py", text.encode())).left


def test_an_optimizer_of_a_wildcard():
    head = "from keras.layers import *\nfrom keras.optimizers import *\n"
    assert ported("Adam(lr=0.1)", head) == ("Adam(learning_rate=0.1)", ())


def test_an_optimizer_of_tensorflow_1_is_left():
    made, left = ported("tf.train.AdamOptimizer(rate)", "import tensorflow as tf\nrate = 1\n")
    assert made == "tf.train.AdamOptimizer(rate)"
    assert left[0].reason == "TensorFlow 2 has no tf.train.AdamOptimizer."
