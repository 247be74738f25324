import io
import json
import re
import sys

import nbformat
import pytest

from tests.cli.program import kelbo, refused
from tests.clinic.port.fixtures import BOOKS, PORTED, UNPORTABLE

GERON = next(path for path in BOOKS if path.stem == "geron")
EXPECTED = (PORTED / "geron.py").read_text()


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "vae.py"
    path.write_text(GERON.read_text())
    return path


def notebook(*cells):
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


def test_a_notebook_becomes_a_notebook(tmp_path):
    path = tmp_path / "vae.ipynb"
    path.write_text(notebook("%pwd", *GERON.read_text().split("\n\n\n")))
    result = kelbo("port", path, "--check")
    assert (result.code, result.out) == (0, ""), result.err
    place = tmp_path / "vae-keras3.ipynb"
    cells = json.loads(place.read_text())["cells"]
    assert "class Sampling(keras.layers.Layer):\n" in cells[2]["source"]
    assert f"Wrote {place}." in result.err and "They agree." in result.err
    assert "Rewritten: cell 3, line" in result.err
    assert "The outputs of cell 2 and of the cells after it no longer hold" in result.err
    assert "There is nothing to port" in kelbo("port", place).err
    assert "a notebook, whose name ends in .ipynb" in refused(
        "port", path, "-o", tmp_path / "vae.py", code=2
    )
    assert "exists. Use --force" in refused("port", path, code=2)
    assert "is the script itself" in refused("port", path, "-o", path, "--force", code=2)


def test_what_is_left_in_a_notebook_is_named_by_cell_and_line(tmp_path):
    path = tmp_path / "vae.ipynb"
    path.write_text(notebook("from keras import backend as K", "%pwd\nK.repeat(x, 2)", "print 'x'"))
    result = kelbo("port", path)
    assert result.code == 1
    assert "vae.ipynb:cell 2, line 2: left as it was: Keras 3 has no K.repeat" in result.err
    assert "vae.ipynb:cell 3, line 1: left as it was: it is written in Python 2" in result.err


def test_the_ported_script_stands_beside_the_script(script):
    result = kelbo("port", script)
    assert (result.code, result.out) == (0, "")
    assert script.with_name("vae-keras3.py").read_text() == EXPECTED
    assert script.read_text() == GERON.read_text()
    assert "vae-keras3.py" in result.err
    assert "exists. Use --force" in refused("port", script, code=2)
    assert kelbo("port", script, "--force").code == 0


def test_it_goes_where_out_says_and_never_onto_the_script(script, tmp_path):
    assert kelbo("port", script, "-o", "-").out == EXPECTED
    out = tmp_path / "new.py"
    assert kelbo("port", script, "-o", out).code == 0
    assert out.read_text() == EXPECTED
    assert "is the script itself" in refused("port", script, "-o", script, "--force", code=2)
    assert "a script, no notebook" in refused("port", script, "-o", tmp_path / "new.ipynb", code=2)
    assert "the folder" in refused("port", script, "-o", tmp_path, code=2)
    assert script.read_text() == GERON.read_text()


def test_a_script_comes_by_stdin(script, monkeypatch, tmp_path):
    def given(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    monkeypatch.chdir(tmp_path)
    for arguments in (["-"], ["-", "-o", "-"]):
        given(script.read_bytes())
        assert kelbo("port", *arguments).out == EXPECTED
    given(script.read_bytes())
    assert kelbo("port", "-", "-o", tmp_path / "new.py").out == ""
    assert (tmp_path / "new.py").read_text() == EXPECTED
    given(UNPORTABLE[0].read_bytes())
    assert "<stdin>:14: left as it was" in kelbo("port", "-").err
    given(b"print 'x'")
    assert "<stdin> cannot be ported" in kelbo("port", "-").err
    given(notebook("from keras import backend as K", "K.mean(x)").encode())
    assert json.loads(kelbo("port", "-").out)["cells"][1]["source"] == ["ops.mean(x)"]
    monkeypatch.setattr(sys, "stdin", None)
    assert "from stdin" in refused("port", "-", code=2)


def test_a_script_without_a_vae_is_named(tmp_path):
    path = tmp_path / "classifier.py"
    path.write_text(
        "from tensorflow import keras\n"
        'model = keras.Sequential([keras.layers.Dense(10, activation="softmax")])\n'
        'model.compile("adam", "sparse_categorical_crossentropy")\nmodel.fit(x, y)\n'
    )
    result = kelbo("port", path)
    assert result.code == 0 and "Wrote" in result.err
    assert f"No VAE was recognised in {path}" in result.err
    result = kelbo("port", path, "--force", "--check")
    assert result.code == 1 and "Nothing is checked, because there is no VAE" in result.err
    again = kelbo("port", path.with_name("classifier-keras3.py"))
    assert again.code == 0 and "There is nothing to port" in again.err
    assert "No VAE was recognised" in again.err


def test_nothing_to_port_writes_nothing(tmp_path):
    path = tmp_path / "new.py"
    path.write_text(EXPECTED)
    result = kelbo("port", path)
    assert (result.code, result.out) == (0, "")
    assert "There is nothing to port" in result.err and "No VAE" not in result.err
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_left_is_listed_and_exits_1(tmp_path):
    result = kelbo("port", UNPORTABLE[0], "-o", tmp_path / "new.py")
    assert result.code == 1
    assert re.search(r"2-attributes\.py:14: left as it was: the layer that adds", result.err)
    assert "# kelbo port: left as it was" in (tmp_path / "new.py").read_text()


def test_what_is_no_script_is_refused(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("print 'x'\n")
    result = kelbo("port", broken)
    assert result.code == 1
    assert "written in Python 2" in result.err
    assert "Add --check" in refused("port", broken, "--backend", "jax", code=2)
    missing = kelbo("port", tmp_path / "missing.py")
    assert missing.code == 1 and "missing.py" in missing.err


def test_what_is_nested_too_deep_is_refused(tmp_path):
    path = tmp_path / "deep.py"
    path.write_text(f"from keras import backend as K\nx = K.mean({' + '.join('1' * 600)})\n")
    assert "nested too deep" in kelbo("port", path).err


def test_what_the_doctor_still_finds_does_not_keep_from_the_check(script):
    script.write_text(script.read_text().replace("K.exp(log_var / 2)", "K.exp(log_var)"))
    result = kelbo("port", script, "--check")
    assert result.code == 1
    assert "KLB204" in result.err and "They agree." in result.err


def test_there_is_no_check_of_what_is_left(tmp_path):
    result = kelbo("port", UNPORTABLE[0], "-o", tmp_path / "new.py", "--check")
    assert (
        result.code == 1
        and "Nothing is checked, because something was left as it was." in result.err
    )


def test_a_checked_script_agrees_with_the_original(script):
    result = kelbo("port", script, "--check")
    assert result.code == 0, result.err
    assert "They agree." in result.err
