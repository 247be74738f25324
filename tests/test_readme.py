"""The README's Python example runs as it stands, on a slice of MNIST."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import kelbo

README = Path(__file__).parent.parent / "README.md"


def examples() -> list[str]:
    """The Python blocks in their order: one that trains, one that uses what was trained."""
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_example_has_twelve_lines():
    lines = [line for line in examples()[0].splitlines() if line.strip()]
    assert len(lines) == 12


def test_the_examples_run(tmp_path, monkeypatch):
    (x_train, y_train), (x_test, y_test) = kelbo.data.mnist()
    a_slice = (x_train[:256], y_train[:256]), (x_test[:10], y_test[:10])
    monkeypatch.setattr(kelbo.data, "mnist", lambda: a_slice)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile("".join(examples()), str(README), "exec"), names)
    assert names["images"].shape == (64, 28, 28, 1)
    assert 0.0 <= names["images"].min() <= names["images"].max() <= 1.0
    elbo = names["vae"].evaluate(a_slice[1][0], verbose=0, return_dict=True)["elbo"]
    # Two bounds on the same evidence: after so little training hardly a nat apart.
    assert names["log_px"].shape == (10,)
    assert names["log_px"].mean() == pytest.approx(elbo, abs=3.0)
    np.testing.assert_allclose(names["x_again"], names["x_of_z"], rtol=1e-4, atol=1e-5)
    encoder = keras.saving.load_model("encoder.keras")
    np.testing.assert_allclose(
        encoder.predict(a_slice[1][0], verbose=0)["mu"], names["q_of_z"]["mu"], rtol=1e-4, atol=1e-5
    )
    reloaded = kelbo.load_model("vae.keras")
    for before, after in zip(names["vae"].get_weights(), reloaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", README.read_text("utf-8")))
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
