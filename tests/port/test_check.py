import pytest

from kelbo.doctor import load
from kelbo.doctor.source import read_script
from kelbo.port import Checked, check, port
from tests.port.fixtures import BOOKS

FOSTER = port(load(str(next(path for path in BOOKS if path.stem == "foster"))))


def test_a_changed_weight_is_seen(tmp_path):
    wrong = FOSTER.text.replace("kl_loss = -0.5 *", "kl_loss = -1.0 *")
    found = check(wrong, tmp_path, FOSTER.formula, "jax")
    assert not found.failure
    assert found.loss > found.expected and not found.equal


def test_regularizers_count_in_both(tmp_path):
    dense = 'Dense(self.z_dim, name="mu")'
    script = next(path for path in BOOKS if path.stem == "foster").read_text()
    assert dense in script
    script = script.replace(dense, 'Dense(self.z_dim, name="mu", kernel_regularizer="l2")')
    ported = port(read_script("foster.py", script.encode()))
    found = check(ported.text, tmp_path, ported.formula, "jax")
    assert found.equal and found.expected is not None
    without = ported.text.replace(" + sum(self.losses)", "")
    assert without != ported.text
    assert not check(without, tmp_path, ported.formula, "jax").equal


def test_what_fails_is_named(tmp_path):
    found = check(
        "import socket\nsocket.create_connection(('localhost', 9))\n", tmp_path, None, "jax"
    )
    assert found.loss is None and not found.equal
    assert "downloads nothing" in found.failure


@pytest.mark.parametrize(
    ("loss", "expected", "equal"),
    [(1.0, 1.0, True), (1.0, None, True), (1.0, 1.01, False), (None, None, False)],
)
def test_losses_are_compared(loss, expected, equal):
    assert Checked(loss=loss, expected=expected).equal is equal
