import gc
import io
import json
import os
import re
import subprocess
import sys

import pytest

from kelbo.clinic.doctor import all_rules
from kelbo.clinic.doctor.collector import without_collector
from tests.cli.program import kelbo, process, refused
from tests.clinic.doctor.fixtures import FIXTURES

BROKEN = next(f.path for f in FIXTURES if f.path.stem == "KLB104-broken")
WARNED = next(f.path for f in FIXTURES if f.path.stem == "KLB301-broken")
HEALTHY = next(f.path for f in FIXTURES if f.path.stem == "KLB104-healthy")


def test_a_finding_has_place_code_title_paragraph_and_more():
    result = kelbo("doctor", BROKEN)
    assert (result.code, result.err) == (1, "")
    first, *rest = result.out.splitlines()
    assert re.match(rf"{re.escape(str(BROKEN))}:\d+:1 KLB104 Keras 3 has no add_loss", first)
    text = " ".join(" ".join(rest).split())
    for part in (
        "vae.add_loss gets",
        "Keras 2: works",
        "Keras 3: a bare NotImplementedError",
        "See: kelbo doctor --explain KLB104; kelbo recipes show 3-add-loss-kl --repair",
        "1 error in 1 of 1 file.",
    ):
        assert part in text
    assert "\x1b" not in result.out
    assert max(map(len, rest)) <= 88


METRICS = """\
import keras
class Terms(keras.layers.Layer):
    def call(self, x, squared):
        self.add_metric(x)
        self.add_metric(squared)
        return x
"""


def test_the_cause_is_told_once_in_each_file(tmp_path):
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text(METRICS)
    out = kelbo("doctor", tmp_path).out
    first, second = out.split(f"{tmp_path / 'second.py'}:4:9")
    for part in (first, second):
        text = " ".join(part.split())
        assert text.count("Keras 3 keeps metrics as objects") == text.count("See: ") == 1
        assert "self.add_metric reports squared. Make a keras.metrics.Mean" in text
        assert re.search("(; |  )kelbo recipes show 2-loss-layer --repair;", part)


def test_warnings_alone_and_no_finding_exit_0():
    result = kelbo("doctor", WARNED)
    assert result.code == 0
    assert "1 warning in 1 of 1 file." in result.out
    assert kelbo("doctor", HEALTHY).out == "Nothing found in 1 file.\n"
    assert kelbo("doctor", WARNED, HEALTHY, BROKEN).code == 1


def test_a_script_without_keras_is_said_to_be_one(tmp_path):
    path = tmp_path / "torch_vae.py"
    path.write_text("import torch\n")
    note = f"{path} mentions neither Keras nor TensorFlow: nothing in it was examined."
    assert kelbo("doctor", path).out == f"Nothing found in 1 file.\n{note}\n"
    assert kelbo("doctor", path).code == 0
    assert kelbo("doctor", path, "--json").json["without_keras"] == [str(path)]
    assert kelbo("doctor", path, "--format", "github").out == f"::notice::{note}\n"
    assert note in kelbo("doctor", path, "--format", "sarif").out
    (tmp_path / "gan.py").write_text("import torch\n")
    two = "2 of 3 files mention neither Keras nor TensorFlow: nothing in them was examined.\n"
    assert kelbo("doctor", tmp_path, HEALTHY).out == f"Nothing found in 3 files.\n{two}"


def test_a_folder_without_scripts_is_no_success(tmp_path):
    result = kelbo("doctor", tmp_path)
    assert (result.code, result.out) == (1, "Nothing found in 0 files.\n")


def test_rules_are_chosen():
    assert kelbo("doctor", BROKEN, "--ignore", "KLB1").code == 0
    assert kelbo("doctor", BROKEN, "--select", "KLB2,KLB3").code == 0
    assert kelbo("doctor", BROKEN, "--select", "KLB2", "--select", "KLB104").code == 1
    for option in ("--select", "--ignore"):
        assert kelbo("doctor", BROKEN, option, " ,").code == 2
    for option in ("--select", "--ignore", "--explain"):
        said = refused("doctor", BROKEN, option, "KLB9999", code=2)
        assert "There is no rule 'KLB9999'. Did you mean 'KLB" in said


def test_a_model_comes_with_data_and_without_scripts():
    for arguments in (
        ("--model", "model.keras"),
        ("--data", "mnist"),
        (HEALTHY, "--model", "model.keras", "--data", "mnist"),
        ("--model", "model.keras", "--data", "mnist", "--select", "KLB1"),
    ):
        said = refused("doctor", *arguments, code=2)
        assert "kelbo doctor --model runs/first/model.keras --data mnist" in said


def test_json_github_and_sarif():
    (found,) = kelbo("doctor", BROKEN, "--json").json["findings"]
    assert found["code"] == "KLB104"
    assert kelbo("doctor", BROKEN, "--format", "json").json["files"] == 1
    assert kelbo("doctor", BROKEN, "--format", "github").out.startswith("::error file=")
    (run,) = kelbo("doctor", BROKEN, "--format", "sarif").json["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["KLB104"]
    assert kelbo("doctor", HEALTHY, "--format", "github").out == ""


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_a_rule_is_explained(rule):
    result = kelbo("doctor", "--explain", rule.code.lower())
    assert result.code == 0
    assert result.out.startswith(f"{rule.code} {rule.title}")
    for head in ("What it does", "Why is this bad", "Example", "Use instead", "See"):
        assert f"\n{head}\n" in result.out
    assert "```" not in result.out


def test_all_rules_are_explained_at_once():
    out = kelbo("doctor", "--explain", "all").out
    assert all(f"{rule.code} {rule.title}\n" in out for rule in all_rules())


def test_stdin_is_a_script(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BROKEN.read_bytes())))
    result = kelbo("doctor", "-")
    assert result.code == 1
    assert result.out.startswith("<stdin>:")


TRACEBACK = """\
Traceback (most recent call last):
  File "vae.py", line 40, in <module>
    vae.fit(x, x)
ValueError: No loss to compute. Provide a `loss` argument in `compile()`.
"""


def test_a_traceback_is_explained(tmp_path, monkeypatch):
    path = tmp_path / "error.txt"
    path.write_text(TRACEBACK)
    result = kelbo("doctor", path)
    assert (result.code, result.err) == (1, "")
    assert result.out == f"{path}\n\n{kelbo('explain', TRACEBACK).out}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACEBACK.encode())))
    assert kelbo("doctor", "-").out == result.out.replace(str(path), "<stdin>")
    both = kelbo("doctor", path, HEALTHY)
    assert both.code == 1
    assert both.out == f"{result.out}Nothing found in 1 file.\n"


def test_a_traceback_in_json_and_in_formats_of_places(tmp_path):
    path = tmp_path / "error.txt"
    path.write_text(TRACEBACK)
    result = kelbo("doctor", path, "--json")
    assert result.code == 1
    (told,) = result.json["explanations"]
    assert (told["path"], told["name"]) == (str(path), "no-loss")
    assert result.json["skipped"] == []
    for format in ("github", "sarif"):
        result = kelbo("doctor", path, "--format", format)
        assert result.code == 1
        assert f"{path} is skipped: it is an error message, not a script" in result.err


def test_a_traceback_that_nobody_knows_is_named(tmp_path):
    path = tmp_path / "error.txt"
    path.write_text(TRACEBACK.replace("No loss to compute.", "What nobody knows."))
    result = kelbo("doctor", path)
    assert result.code == 1
    assert f"{path} is skipped: No explanation is known for this." in result.err


def test_bad_input_is_named_and_skipped_and_the_rest_goes_on(tmp_path):
    (tmp_path / "old.py").write_text("print 'hello'\n")
    (tmp_path / "good.py").write_text(BROKEN.read_text())
    (tmp_path / "note.ipynb").write_text("{")
    result = kelbo("doctor", tmp_path)
    assert result.code == 1
    assert "1 error in 1 of 1 file." in result.out
    assert "old.py is skipped: it is written in Python 2: line 1" in result.err
    assert "note.ipynb is skipped: it is not a notebook" in result.err
    assert kelbo("doctor", tmp_path / "old.py").code == 1
    assert len(kelbo("doctor", tmp_path, "--json").json["skipped"]) == 2


def test_wrong_usage_exits_2(tmp_path, monkeypatch):
    assert "Expected a script" in refused("doctor", code=2)
    assert "There is no file or folder" in refused("doctor", tmp_path / "missing.py", code=2)
    assert "KLB101" in refused("doctor", "--explain", "KLB110", code=2)
    monkeypatch.setattr(sys, "stdin", None)
    assert "from stdin" in refused("doctor", "-", code=2)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that can be closed")
@pytest.mark.parametrize("format", ["text", "json", "github"])
def test_a_reader_that_leaves_early_is_told_by_the_status(format):
    for script, code in ((BROKEN, 1), (HEALTHY, 0)):
        started = process("doctor", script, "--format", format)
        started.stdout.close()
        with started:
            messages = started.stderr.read()
        assert (started.returncode, messages) == (code, "")


def test_a_terminal_gets_colours_and_the_line_itself(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = kelbo("doctor", BROKEN).out
    assert "\x1b[" in out
    assert "^" * 12 in out
    assert "vae.add_loss(-0.125 * tf.reduce_mean" in re.sub(r"\x1b\[[\d;]*m", "", out)


def test_no_framework_is_loaded():
    script = (
        "import sys\nfrom kelbo.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "doctor", str(HEALTHY), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    *content, loaded = run.stdout.splitlines()
    assert loaded == "[]"
    assert json.loads("\n".join(content))["files"] == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with without_collector():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize("format", ["text", "json", "github", "sarif"])
def test_a_traceback_is_an_error_in_every_format(tmp_path, format):
    log = tmp_path / "log.txt"
    log.write_text(
        "Traceback (most recent call last):\n  File 'vae.py', line 3, in <module>\n"
        "ValueError: A KerasTensor cannot be used as input to a TensorFlow function.\n"
    )
    assert kelbo("doctor", log, HEALTHY, "--format", format).code == 1
