"""Files as they are found: in any encoding, in folders, as notebooks, and damaged."""

import codecs
import io
import json
import os

import pytest

from kelbo.clinic.doctor import Message, Skipped, Source, examine, find, load, read_stream
from kelbo.clinic.doctor.source import LIMIT
from tests.clinic.doctor.fixtures import FIXTURES

BROKEN = next(fixture.text for fixture in FIXTURES if fixture.path.stem == "KLB104-broken")


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("def f(:\n", "it is not Python 3: line 1"),
        ("print 'a'\n", "it is written in Python 2: line 1"),
        ("try:\n    pass\nexcept A, e:\n    pass\n", "it is written in Python 2: line 3"),
        ("if x:\n\ty\n        z\n", "it is not Python 3: line 3"),
        (b"\x7fELF\0\0", "it is a binary file"),
        (codecs.BOM_UTF16_LE + "x = 1".encode("utf-16-le"), "it is in UTF-16"),
        (b"x = '\xe9'\n", "it is not in the encoding that it declares"),
        (
            b"# coding: klingon\nx = 1\n",
            "it is not in the encoding that it declares: unknown encoding",
        ),
        ("x = 1\n" * LIMIT, "it has 12.0 MiB, and the doctor reads up to 2.0 MiB"),
        ("(" * 9999, "it is not Python 3"),
    ],
)
def test_what_cannot_be_read_is_skipped_with_its_reason(tmp_path, content, reason):
    found = read(tmp_path / "script.py", content)
    assert isinstance(found, Skipped)
    assert found.reason.startswith(reason)
    assert found.path.endswith("script.py")


TRACEBACK = """\
Epoch 1/10
Traceback (most recent call last):
  File "vae.py", line 40, in <module>
    vae.fit(x, x)
ValueError: No loss to compute. Provide a `loss` argument in `compile()`.
"""


@pytest.mark.parametrize(
    "content",
    [
        TRACEBACK,
        TRACEBACK.splitlines()[-1],
        TRACEBACK.replace("No loss to compute.", "What nobody knows."),
        f"\x1b[31m{TRACEBACK}\x1b[0m",
        codecs.BOM_UTF16_LE + TRACEBACK.encode("utf-16-le"),
        TRACEBACK.encode() + b"\xe9",
    ],
)
def test_what_an_error_has_printed_is_no_damaged_script(tmp_path, content):
    found = read(tmp_path / "error.txt", content)
    assert isinstance(found, Message)
    assert "ValueError" in found.text
    assert not isinstance(read(tmp_path / "error.py", content), Message)


@pytest.mark.parametrize("content", ["def f(:\n", "Dear all, it does not train.", b"\x7fELF\0\0"])
def test_other_texts_are_no_messages(tmp_path, content):
    found = read(tmp_path / "letter.txt", content)
    assert isinstance(found, Skipped)
    assert not isinstance(found, Message)


def test_a_text_is_told_what_was_expected(tmp_path):
    reason = read(tmp_path / "letter.txt", "Dear all, it does not train.").reason
    assert reason.startswith("expected a Python 3 script, a notebook or a traceback")
    assert reason.endswith(": line 1: invalid syntax.")
    assert read(tmp_path / "old.txt", "print 'a'").reason.startswith("it is written in Python 2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        codecs.BOM_UTF8 + b"x = 1\n",
        "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"),
        "# vim: set fileencoding=cp1252 :\nx = '€'\n".encode("cp1252"),
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\r",
        b"x = '\\d'\n",
        b"match x:\n    case 1:\n        pass\n",
    ],
)
def test_every_encoding_and_end_of_line_of_python_is_read(tmp_path, content):
    assert isinstance(read(tmp_path / "script.py", content), Source)


def test_a_saved_model_is_sent_to_where_models_are_looked_at(tmp_path):
    reason = read(tmp_path / "vae.keras", b"PK\3\4").reason
    assert f"kelbo doctor --model {tmp_path / 'vae.keras'} --data" in reason


def test_columns_are_characters_and_lines_those_of_python(tmp_path):
    text = BROKEN.replace("vae.add_loss(", "'ä€😀\\f', vae.add_loss(")
    for end in ("\n", "\r\n"):
        (finding,) = examine(read(tmp_path / "script.py", text.replace("\n", end)))
        line = text.splitlines()[finding.place.line - 1]
        assert line[finding.place.column - 1 :].startswith("vae.add_loss(")
        assert finding.place.end_column > finding.place.column


def notebook(*cells, **more):
    made = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    made.insert(1, {"cell_type": "markdown", "source": "# Title"})
    return json.dumps({"cells": made, "nbformat": 4, "metadata": {}, **more})


def test_a_notebook_needs_no_name():
    content = notebook("x = 1\n!ls\n", BROKEN).encode()
    (finding,) = examine(read_stream(io.BytesIO(content)))
    assert finding.place.cell == 2
    assert not read_stream(io.BytesIO(b"{'cells': [1]}")).cells


def test_a_notebook_is_read_cell_by_cell(tmp_path):
    head, tail = BROKEN.split("vae = keras.Model(image, output)\n")
    first = "%matplotlib inline\n!pip install keras\nfiles = !ls\n%time x = 1\n" + head
    second = "%%time\nvae = keras.Model(image, output)\n" + tail
    path = tmp_path / "vae.ipynb"
    source = read(path, notebook("keras.Input?\n" + first, "%%bash\nls -l *", second, "await x"))
    (finding,) = examine(source)
    assert finding.place.cell == 3
    line = second.splitlines()[finding.place.line - 1]
    assert line[finding.place.column - 1 :].startswith("vae.add_loss(")


@pytest.mark.parametrize(
    "magic", ["%time ", "%%time ", "%timeit ", "%timeit -n 3 -r1 ", "%prun -l 7 -q ", "%memit "]
)
def test_code_behind_a_magic_that_runs_it_is_read_in_its_place(tmp_path, magic):
    before = "%time\n%time for x in y: pass\n%timeit -x\nif x:\n    %time x = 1\n"
    cell = before + BROKEN.replace("vae.add_loss(", f"{magic}vae.add_loss(")
    source = read(tmp_path / "vae.ipynb", notebook(cell))
    assert source.skipped == ()
    (finding,) = examine(source)
    line = cell.splitlines()[finding.place.line - 1]
    assert line[finding.place.column - 1 :].startswith("vae.add_loss(")


def test_commands_in_a_notebook_may_have_several_lines_and_set_the_environment(tmp_path):
    head = "!pip install \\\n  -q \\\n  keras\nfiles = !ls \\\n -l\n"
    source = read(tmp_path / "vae.ipynb", notebook(head + BROKEN))
    assert source.skipped == ()
    (finding,) = examine(source)
    line = (head + BROKEN).splitlines()[finding.place.line - 1]
    assert line[finding.place.column - 1 :].startswith("vae.add_loss(")
    for setting in ("%env TF_USE_LEGACY_KERAS=1\n", "%set_env TF_USE_LEGACY_KERAS 1\n"):
        assert examine(read(tmp_path / "vae.ipynb", notebook(setting + head + BROKEN))) == []


def test_an_expression_that_goes_on_with_an_operator_is_no_command(tmp_path):
    source = read(
        tmp_path / "a.ipynb", notebook("x = ('%d'\n     % 3\n     != 'y')\n'%d' \\\n% (4)")
    )
    assert source.skipped == ()
    assert [type(node).__name__ for node in source.tree.body] == ["Assign", "Expr"]


def test_a_damaged_cell_is_skipped_and_the_rest_is_read(tmp_path):
    source = read(tmp_path / "vae.ipynb", notebook("def f(:", BROKEN))
    assert [skip.path.rpartition(":")[2] for skip in source.skipped] == ["cell 1"]
    assert [finding.rule.code for finding in examine(source)] == ["KLB104"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "{",
        "1",
        '{"cells": 3}',
        '{"cells": [3]}',
        '{"cells": [{"cell_type": "code", "source": 3}]}',
        '{"worksheets": []}',
        "[" * 99_999,
        b"\xff",
        notebook("x", metadata={"kernelspec": {"language": "R"}}),
    ],
)
def test_what_is_no_notebook_of_python_is_skipped(tmp_path, content):
    assert isinstance(read(tmp_path / "vae.ipynb", content), Skipped)


def test_notebooks_of_format_3_and_without_cells_are_read(tmp_path):
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": BROKEN}]}]}
    (finding,) = examine(read(tmp_path / "old.ipynb", json.dumps(old)))
    assert finding.place.cell == 1
    assert examine(read(tmp_path / "empty.ipynb", '{"cells": []}')) == []


def test_folders_are_searched_once_and_hidden_ones_are_left_out(tmp_path):
    for name in ("b.py", "a.ipynb", "c.txt", "sub/d.py", ".git/e.py", "env/f.py", "env/pyvenv.cfg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "sub" / "again.py").symlink_to(tmp_path / "b.py")
    (tmp_path / "self.py").symlink_to(tmp_path / "self.py")
    os.mkfifo(tmp_path / "pipe.py")
    paths = [str(tmp_path), str(tmp_path / "b.py"), str(tmp_path / "c.txt")]
    found = [os.path.relpath(path, tmp_path) for path in find(paths)]
    assert found == ["a.ipynb", "b.py", "self.py", "sub/d.py", "c.txt"]
    assert load(str(tmp_path / "self.py")).reason.startswith("too many levels of symbolic links")


def test_what_may_not_be_read_is_skipped(tmp_path, monkeypatch):
    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied", "x")

    (tmp_path / "x.py").touch()
    monkeypatch.setattr("builtins.open", denied)
    assert load(str(tmp_path / "x.py")).reason == "permission denied."


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", f"{folder}/locked"))
        yield folder, [], ["a.py"]

    (tmp_path / "a.py").write_text("")
    monkeypatch.setattr("os.walk", walk)
    path, skipped = find([str(tmp_path)])
    assert path.endswith("a.py")
    assert skipped == Skipped(f"{tmp_path}/locked", "permission denied.")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    for path in (pipe, os.devnull):
        skipped = load(str(path))
        assert isinstance(skipped, Skipped)
        assert skipped.reason.startswith("it is not a regular file")
