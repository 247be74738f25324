"""Notebooks, ported: what is in which cell, and what stays."""

import json

import keras
import nbformat
import pytest

from kelbo.clinic.doctor import load
from kelbo.clinic.port import check, port_notebook
from kelbo.errors import DataError
from tests.clinic.port.fixtures import BOOKS, PORTED

HEAD = """\
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K"""
SAMPLING = """\
def sampling(args):
    mu, log_var = args
    epsilon = K.random_normal(shape=K.shape(mu))
    return mu + K.exp(log_var / 2) * epsilon
"""
ENCODER = """\

# The encoder
image = keras.Input((4,))
mu = keras.layers.Dense(2)(image)
log_var = keras.layers.Dense(2)(image)
z = keras.layers.Lambda(sampling)([mu, log_var])"""
MODEL = """\
output = keras.layers.Dense(4, activation="sigmoid")(z)
vae = keras.Model(image, output)
# The end of the cell"""
LOSS = """\
kl = -0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
vae.add_loss(K.mean(K.sum(K.square(image - output), axis=-1) + kl))"""
TRAINING = """\
x = np.random.rand(8, 4)
vae.compile("adam")
vae.fit(x, epochs=1)"""


def code(source, count=1, **more):
    outputs = [nbformat.v4.new_output("stream", name="stdout", text="done")]
    cell = nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs, **more)
    cell.metadata["tags"] = ["kept"]
    return cell


def notebook(path, *cells):
    made = nbformat.v4.new_notebook(
        cells=[cell if isinstance(cell, dict) else code(cell) for cell in cells],
        metadata={"kernelspec": {"name": "py", "display_name": "P", "language": "python"}},
    )
    path.write_text(nbformat.writes(made) + "\n", encoding="utf-8")
    return path


def ported(path, *cells):
    return port_notebook(load(str(notebook(path, *cells))))


def sources(result):
    cells = nbformat.reads(result.text, as_version=nbformat.NO_CONVERT).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vae.ipynb"


WHOLE = (
    nbformat.v4.new_markdown_cell("# VAE", id="title"),
    "%matplotlib inline\nfrom __future__ import print_function\n",
    HEAD,
    nbformat.v4.new_raw_cell("raw", id="raw"),
    "%%bash\nls *  # K.mean",
    SAMPLING,
    ENCODER,
    MODEL,
    LOSS,
    f"%%time\n{TRAINING}\ndisplay(vae)",
)


def test_cells_names_and_metadata_stay_and_outputs_that_no_longer_hold_go(path):
    result = ported(path, *WHOLE)
    before = nbformat.reads(path.read_text(), as_version=4)
    after = nbformat.reads(result.text, as_version=4)
    nbformat.validate(after)
    assert result.text.endswith("}\n") and after.metadata == before.metadata
    for old, new in zip(before.cells, after.cells, strict=True):
        assert (old.id, old.cell_type, old.metadata) == (new.id, new.cell_type, new.metadata)
    made = [cell for cell in after.cells if cell.cell_type == "code"]
    # The first cell that changed is that of the imports.
    assert [cell.execution_count for cell in made] == [1] + [None] * 7
    assert [len(cell.outputs) for cell in made] == [1] + [0] * 7
    assert [cell.cell for cell in result.cells] == [2, 4, 5, 6, 7]
    assert result.cells[2].lines == (6,)


def test_what_the_port_adds_and_removes_is_in_the_cell_of_what_it_replaces(path, trials_here):
    result = ported(path, *WHOLE)
    assert not result.left and not result.errors
    _, head, _, sampling, encoder, model, loss, training = sources(result)
    assert head == "import numpy as np\nimport keras\nfrom keras import ops"
    assert sampling.startswith("@keras.saving.register") and "class Sampling" in sampling
    assert sampling.endswith("* epsilon\n") and not sampling.endswith("\n\n")
    assert encoder == ENCODER.replace("keras.layers.Lambda(sampling)", "Sampling()")
    assert "class VAE(keras.Model)" in model and model.endswith("\n# The end of the cell")
    assert "kl = -0.5 * ops.sum(" in model
    assert loss == ""
    assert training == f"%%time\n{TRAINING}\ndisplay(vae)"
    found = check(result.runnable, path.parent, result.formula, keras.backend.backend())
    assert found.expected is not None and found.equal, found.failure


@pytest.mark.parametrize(
    "magic",
    [
        "%matplotlib inline",
        "!pip install -q \\\n    keras  # K.mean",
        "?K.mean",
        "K.mean??",
        "files  =  !ls *",
        "if files:\n    !ls\n    %cd ..",
        "%env TF_CPP_MIN_LOG_LEVEL=3",
        '"""\n%d is no magic\n"""\n%pwd',
        "%time  x = 1 # a number",
        "x = ('%s'\n     %files)",
    ],
)
def test_magics_stay_as_they_are(path, magic):
    result = ported(path, f"{magic}\n{HEAD}", f"{magic}\nprint(K.mean(x))\n{magic}", magic)
    imports = "import numpy as np\nimport keras\nfrom keras import ops"
    assert sources(result)[1:] == [f"{magic}\nprint(ops.mean(x))\n{magic}", magic]
    assert sources(result)[0] == f"{magic}\n{imports}"
    assert not result.left


def test_what_a_magic_runs_is_ported_and_stays_on_its_line(path):
    names = ", ".join(f"a_long_name_{number}" for number in range(6))
    result = ported(path, HEAD, f"%time y = K.stack([{names}], axis=1) + K.mean(K.variable_of(x))")
    expected = f"%time y = ops.stack([{names}], axis=1) + ops.mean("
    assert sources(result)[1].splitlines()[-1].startswith(expected)


def test_what_is_left_is_named_by_its_cell_and_line(path):
    result = ported(
        path, HEAD, "%pwd\n\nx = K.mean(y)\nx = K.repeat(x, 2)\n", "def f(:", "K.mean(x)"
    )
    assert [(left.cell, left.line) for left in result.left] == [(2, 4), (3, 1)]
    assert "it is not Python 3" in result.left[1].reason
    _, second, third, fourth = sources(result)
    assert second.startswith("%pwd\n\nx = ops.mean(y)\n# kelbo port: left as it was: ")
    assert (third, fourth) == ("def f(:", "ops.mean(x)")


def test_errors_of_the_ported_notebook_are_named_by_cell_and_line(path):
    result = ported(
        path, HEAD, "image = keras.Input((4,))", "%pwd\nkeras.layers.Dense(4).add_loss(image)"
    )
    (error,) = result.errors
    assert (error.rule.code, error.place.cell, error.place.line) == ("KLB104", 3, 2)


@pytest.mark.parametrize("text", ["", "%pwd", "\n\n", "x = 1", "%%bash\nK.mean(x)"])
def test_a_notebook_with_nothing_to_port_stays_as_it_is(path, text):
    result = ported(path, text, nbformat.v4.new_markdown_cell("K.mean"))
    assert not result.changed and result.text == path.read_text()


def test_other_ends_of_lines_stay(path):
    result = ported(path, HEAD.replace("\n", "\r\n"), "x = 1\r\ny = K.mean(x)\r\n", "x\r\ny")
    assert sources(result)[1:] == ["x = 1\r\ny = ops.mean(x)\r\n", "x\r\ny"]


def test_a_notebook_of_format_3_stays_one(path):
    cells = [{"cell_type": "code", "input": [HEAD], "prompt_number": 1, "outputs": []}]
    cells.append({"cell_type": "code", "input": ["K.mean(x)"], "outputs": []})
    content = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}
    path.write_text(json.dumps(content))
    after = json.loads(port_notebook(load(str(path))).text)
    made = after["worksheets"][0]["cells"]
    assert after["nbformat"] == 3 and made[1]["input"] == ["ops.mean(x)"]
    assert made[0]["prompt_number"] is None


@pytest.mark.parametrize("content", [{}, {"nbformat": 4}, {"nbformat": 99}])
def test_what_is_not_in_the_format_of_notebooks_is_refused(path, content):
    cells = [{"cell_type": "code", "source": f"{HEAD}\nK.mean(x)"}]
    path.write_text(json.dumps({"cells": cells, **content}))
    with pytest.raises(DataError, match=r"vae.ipynb cannot be ported: .*nbformat"):
        port_notebook(load(str(path)))


@pytest.mark.parametrize("book", BOOKS, ids=lambda path: path.stem)
def test_a_script_in_cells_becomes_the_ported_script_in_cells(path, book):
    cells = book.read_text().strip("\n").split("\n\n\n")
    after = "\n\n\n".join(sources(ported(path, *cells)))
    expected = (PORTED / book.name).read_text()
    assert after.replace("\n", "") == expected.replace("\n", "")
