import random
import re
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.explain import EXPLANATIONS, explain
from kelbo.clinic.explain.evidence import LIMIT
from tests.clinic.explain.real import MESSAGES, TRACEBACKS

REAL = [*MESSAGES, *TRACEBACKS]
real = pytest.mark.parametrize("real", REAL, ids=lambda real: real.id)


def names(text):
    return [explanation.name for explanation in explain(text)]


def beginnings():
    """The messages of docs/kl-loss.md, which gives only how each begins."""
    page = (Path(__file__).parents[3] / "docs" / "kl-loss.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ``(.*?)``", page, re.MULTILINE)
    found.remove("NotImplementedError")  # without its traceback it can mean many things
    return found


@pytest.mark.parametrize("text", [*beginnings(), "You are passing KerasTensor"])
def test_the_beginning_of_a_message_is_enough(text):
    (explanation,) = explain(text)
    assert explanation.family in "ABD"


@real
def test_what_was_really_printed_is_recognised(real):
    assert names(real.text) == [real.explanation]


def has_class(text):
    name = text.partition(": ")[0]
    return name.isidentifier() and name != "Error"


@pytest.mark.parametrize(
    "real", [real for real in MESSAGES if has_class(real.text)], ids=lambda real: real.id
)
def test_a_message_without_its_class_is_recognised(real):
    assert names(real.text.partition(": ")[2]) == [real.explanation]


def wrapped_at_spaces(text, width):
    return textwrap.fill(text, width, break_long_words=False, replace_whitespace=False)


def wrapped_anywhere(text, width):
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def coloured(text, width):
    return "\n".join(f"\x1b[1;31m{line}\x1b[0m" for line in text.splitlines())


DRESSES = {
    "indented": lambda text, width: textwrap.indent(text, " " * (width % 13)),
    "quoted in an e-mail": lambda text, width: textwrap.indent(text, "> > "),
    "commented out": lambda text, width: textwrap.indent(text, "# "),
    "of pytest": lambda text, width: textwrap.indent(text, "E       "),
    "in a box": lambda text, width: "\n".join(f"│ {line} │" for line in text.splitlines()),
    "coloured": coloured,
    "colours without their escape": lambda text, width: f"[1m{text}[0m",
    "in quotation marks": lambda text, width: f"I get \u201c{text}\u201d, why?",
    "in a code fence": lambda text, width: f"```\n{text}\n```",
    "as a Python literal": lambda text, width: repr(text),
    "with the breaks of Windows": lambda text, width: text.replace("\n", "\r\n"),
    "in UTF-16 read as UTF-8": lambda text, width: "\x00".join(text),
    "wrapped at spaces": wrapped_at_spaces,
    "below a long log": lambda text, width: "x = 1\n" * 999 + text,
}


@pytest.mark.parametrize("dress", DRESSES)
@given(real=st.sampled_from(REAL), width=st.integers(60, 200))
def test_how_a_text_is_pasted_does_not_change_the_answer(dress, real, width):
    assert names(DRESSES[dress](real.text, width)) == [real.explanation]


@given(real=st.sampled_from(TRACEBACKS), width=st.integers(60, 200))
def test_an_exception_may_be_cut_anywhere_by_a_narrow_window(real, width):
    assert names(wrapped_anywhere(real.text, width)) == [real.explanation]


@given(st.text() | st.text("\x1b[]m\\'\"> E\n:=.0nan_lossk"))
def test_it_never_raises(text):
    assert all(explanation in EXPLANATIONS for explanation in explain(text))


@given(real=st.sampled_from(REAL), before=st.text(max_size=99), after=st.text(max_size=99))
def test_it_never_raises_on_a_message_in_other_text(real, before, after):
    explain(f"{before}{real.text}{after}")


UNKNOWN = [
    "",
    " \n",
    "hello",
    "ZeroDivisionError: division by zero",
    "ModuleNotFoundError: No module named 'keras'",
    "NotImplementedError",
    "NameError: name 'K' is not defined",
    "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
    "<KerasTensor shape=(None, 2), dtype=float32, sparse=False, name=keras_tensor_3>",
    "Why does print(mu) show KerasTensor(type_spec=TensorSpec(shape=(None, 2)))?",
    # Of Keras 3.15.1: nothing to do with the loss.
    "ValueError: Output with path `` is not connected to `inputs`",
    "ValueError: Only input tensors may be passed as positional arguments. The following argument "
    "value should be passed as a keyword argument: <KerasTensor shape=(None, 2), dtype=float32>",
    # Of TensorFlow 2.8.4.
    "ValueError: Graph disconnected: cannot obtain value for tensor KerasTensor(type_spec="
    "TensorSpec(shape=(None, 6), dtype=tf.float32, name='encoder_input'), name='encoder_input', "
    'description="created by layer \'encoder_input\'") at layer "dense".',
    # NumPy 1.20 and an LSTM on TensorFlow 2.3.
    "NotImplementedError: Cannot convert a symbolic Tensor (lstm/strided_slice:0) to a numpy array",
    'ValueError: Input 0 of layer "dense" is incompatible with the layer: expected axis -1 of '
    "input shape to have value 784",
    'ValueError: Layer "model" expects 2 input(s), but it received 1 input tensors.',
    "ValueError: Dimensions must be equal, but are 2 and 6",
    "TypeError: train_step() takes 1 positional argument but 2 were given",
    "AttributeError: module 'numpy' has no attribute 'trapz'",
    "AttributeError: 'Functional' object has no attribute 'fit_generator'",
    "TypeError: load_model() got an unexpected keyword argument 'safe_mode'",
    # Healthy logs.
    "Epoch 3/3\n469/469 - 12s - loss: 103.12 - reconstruction: -78.1 - kl: 25.0 - val_loss: 102.9",
    # The books' smallest constants: -0.5e-4 times the mean over 16 latent dimensions.
    "469/469 - 2s - kl_loss: 1.6e-04 - reco_loss: 0.1812 - total_loss: 0.1814",
    # A term that grows from 0 is not a collapse, and its weight even less.
    "loss: 55.1 - kl_weight: 0.0000e+00 - kl_loss: 21.8",
    "Epoch 1/2\nloss: 9.1 - kl_loss: 0.0000e+00\nEpoch 2/2\nloss: 8.2 - kl_loss: 3.5",
    "Epoch 1/2\nloss: nan\nEpoch 2/2\nloss: 8.2",
    "loss is not nan-safe",
    "the closest match is 4.2e-07, kl aside",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_another_error_or_none_is_not_explained(text):
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss: 55.2 - kl_loss: 4.2e-07", ["kl-collapsed"]),
        ("kl: 0.0000e+00 - loss: 140.1", ["kl-collapsed"]),
        ("loss: 0.6 - kl_loss: 0.5 - val_loss: 0.0000e+00", ["validation-loss-zero"]),
        ("loss: 0.0000e+00 - kl_loss: 0.0000e+00", ["loss-zero"]),
        ("loss: nan - kl_loss: 0.0000e+00", ["loss-nan"]),
        ("loss: 3.1 - val_loss: inf", ["loss-nan"]),
        ("My loss is nan after two epochs", ["loss-nan"]),
        ("the KL loss became NaN", ["loss-nan"]),
        ("loss goes to nan", ["loss-nan"]),
    ],
)
def test_the_last_figures_of_a_log_are_read(text, expected):
    assert names(text) == expected


def traceback(message, *frames):
    lines = "\n".join(f'  File "train.py", line 1, in {frame}' for frame in frames)
    return f"Traceback (most recent call last):\n{lines}\n{message}\n"


CHAIN = "\nDuring handling of the above exception, another exception occurred:\n\n"
NO_LOSS = "ValueError: No loss to compute. Provide a `loss` argument in `compile()`."
NO_CALL = "NotImplementedError: Model VAE does not have a `call()` method implemented."
SYMBOLIC = "ValueError: A KerasTensor cannot be used as input to a TensorFlow function."


def test_the_last_exception_counts_first():
    first = traceback(NO_LOSS) + CHAIN + traceback(NO_CALL)
    assert names(first) == ["model-without-call", "no-loss"]
    second = traceback(NO_CALL) + CHAIN + traceback(NO_LOSS)
    assert names(second) == ["no-loss", "model-without-call"]


def test_a_family_is_reported_once():
    unhashable = traceback("TypeError: Tensors are unhashable. (KerasTensor(type_spec=TensorSpec(")
    assert names(traceback(SYMBOLIC) + CHAIN + unhashable) == ["loss-closure"]


def test_the_traceback_makes_an_answer_specific():
    assert names(SYMBOLIC) == ["backend-function-on-symbolic-tensor"]
    assert names(traceback(SYMBOLIC, "loss\n    vae.fit(x, x)")) == ["loss-closure"]
    assert names(traceback(SYMBOLIC, "<module>\n    vae.add_loss(kl)")) == [
        "add-loss-on-functional-model"
    ]


def test_an_exception_counts_before_a_log():
    log = "Epoch 1/9\n469/469 - 2s - loss: nan\n"
    assert names(log + traceback(NO_CALL)) == ["model-without-call", "loss-nan"]


def test_only_the_end_of_a_long_text_is_read():
    assert names(NO_LOSS + " " * LIMIT) == []
    assert names("x" * 3 * LIMIT + NO_LOSS) == ["no-loss"]


HUGE = {
    "one letter": "a",
    "traceback heads": "Traceback (most recent call last):\n",
    "near misses": "You are passing KerasTensor(",
    "figures": "loss: 1.0 - kl_loss: 2.0 - ",
    "names": "'a': 1, loss",
    "escapes": "\x1b]",
    "colours": "[1;",
    "margins": "> | # ",
    "exceptions": "Exception encountered when calling A.call() load_model(",
    "NameErrors": "NameError: name 'K' is not defined load_model( ",
}


@pytest.mark.parametrize("piece", HUGE.values(), ids=HUGE)
def test_a_huge_text_takes_no_time(piece):
    started = time.perf_counter()
    explain(piece * (2 * LIMIT // len(piece)))
    # Of a pattern that is not linear it would be minutes.
    assert time.perf_counter() - started < 10


def test_binary_garbage_is_unknown():
    garbage = random.Random(0).randbytes(LIMIT)
    assert names(garbage.decode("utf-8", errors="replace")) == []
    assert names(garbage.decode("latin-1")) == []
