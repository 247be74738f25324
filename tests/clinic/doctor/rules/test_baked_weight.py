"""A compiled step keeps the number that it first read; a variable may change."""

import runpy

import keras
import numpy as np
import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script
from tests.clinic.doctor.fixtures import FOLDER


@pytest.mark.parametrize(("kind", "rises"), [("broken", False), ("healthy", True)])
def test_the_step_keeps_a_number_and_follows_a_variable(kind, rises):
    model = runpy.run_path(str(FOLDER / "rules" / f"KLB505-{kind}.py"))["model"]
    # The annealing has ended at 0.5.
    x = np.zeros((8, 4), "float32")
    (loss,) = model.fit(x, x, verbose=0).history["loss"]
    # PyTorch compiles nothing, and follows a number too, as the rule says.
    assert (loss >= 0.5) == (rises or keras.backend.backend() == "torch")


SCRIPT = """
import keras
beta = 0.0

def loss(x, y):
    return keras.ops.mean((x - y) ** 2) + beta

class Annealing(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        {change}

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", loss=loss{more})
"""


@pytest.mark.parametrize(
    ("change", "more", "number"),
    [
        ("global beta; beta = epoch / 10", "", 1),
        ("global beta; beta += 0.1", "", 1),
        ("beta = epoch / 10", "", 0),
        ("global epochs; epochs = epoch", "", 0),
        ("self.beta = epoch / 10", "", 0),
        ("self.model.optimizer.learning_rate = 0.1", "", 0),
        ("global beta; beta = epoch / 10", ", run_eagerly=True", 0),
    ],
)
def test_a_global_number_is_reported(change, more, number):
    script = SCRIPT.format(change=change, more=more)
    assert len(examine(read_script("script.py", script.encode()), select(["KLB505"]))) == number
