import io
import json
import subprocess
import sys

import pytest

from kelbo.clinic.explain import EXPLANATIONS, FAMILIES
from kelbo.clinic.explain.evidence import LIMIT
from tests.cli.program import kelbo, refused

NO_LOSS = "ValueError: No loss to compute. Provide a `loss` argument in `compile()`."


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stdin(monkeypatch):
    """Let the program read a text, or bytes, from stdin."""

    def set_stdin(content):
        data = content.encode() if isinstance(content, str) else content
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return set_stdin


def test_an_answer_has_all_its_parts():
    result = kelbo("explain", NO_LOSS)
    assert (result.code, result.err) == (0, "")
    for part in (
        "The model has no loss",
        "B. No loss, a zero loss",
        "What happens",
        "Keras 3: ",
        "Why",
        "The rule",
        "Repair",
        "Broken:",
        "Repaired:",
        "def compute_loss(",
        "kelbo recipes show 8-compute-loss",
        "kelbo doctor YOUR_SCRIPT.py  # KLB108 shows the place",
        "keras-io 1112",
    ):
        assert part in result.out
    assert "\x1b" not in result.out


@pytest.mark.parametrize("explanation", EXPLANATIONS, ids=lambda e: e.name)
def test_every_answer_fits_80_columns(explanation):
    result = kelbo("explain", explanation.symptom.message)
    assert result.code == 0
    assert result.out.startswith(explanation.title)
    assert max(map(len, result.out.splitlines())) <= 80
    assert "\n\n\n" not in result.out


def test_a_message_needs_no_quotes():
    assert kelbo("explain", *NO_LOSS.split()).out == kelbo("explain", NO_LOSS).out


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_traceback_is_read_from_stdin(stdin, arguments):
    stdin(f"Traceback (most recent call last):\n  File 'train.py'\n{NO_LOSS}\n")
    assert kelbo("explain", *arguments).out == kelbo("explain", NO_LOSS).out


def test_of_a_long_stream_the_end_is_read(stdin):
    stdin(b"\xff\xfe\x00garbage\n" * (LIMIT // 2) + NO_LOSS.encode())
    assert kelbo("explain", "-").out.startswith("The model has no loss")


def test_a_stream_of_text_is_read_too(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(NO_LOSS))
    assert kelbo("explain").out.startswith("The model has no loss")


def test_json_is_one_object():
    (found,) = kelbo("explain", NO_LOSS, "--json").json["explanations"]
    assert found["name"] == "no-loss"
    assert found["family"] == "B"
    assert found["family_title"] == FAMILIES["B"]
    assert found["see"] == ["kelbo recipes show 8-compute-loss"]
    assert found["rules"] == ["KLB108"]
    assert all(isinstance(found[key], str) and found[key] for key in ("why", "rule", "repair"))


def test_several_errors_are_explained_one_after_the_other():
    text = f"loss: nan\n{NO_LOSS}"
    out = kelbo("explain", text).out
    assert out.startswith("The model has no loss")
    assert "\n\nThe loss is NaN\n" in out
    names = [found["name"] for found in kelbo("explain", text, "--json").json["explanations"]]
    assert names == ["no-loss", "loss-nan"]


def test_an_unknown_message_exits_1_and_says_what_to_do(stdin):
    error = refused("explain", "ZeroDivisionError: division by zero", code=1)
    assert "No explanation is known" in error
    assert "whole traceback" in error
    assert all(title in error for title in FAMILIES.values())
    stdin("")
    assert "Nothing arrived" in refused("explain", code=1)


def test_an_unknown_message_is_an_empty_list_in_json():
    result = kelbo("explain", "ZeroDivisionError", "--json")
    assert (result.code, json.loads(result.out)) == (1, {"explanations": []})
    assert "No explanation is known" in result.err


def test_the_name_of_a_file_is_met_with_what_to_type(tmp_path):
    log = tmp_path / "train.log"
    log.write_text(NO_LOSS)
    assert f"kelbo explain - < {log}" in refused("explain", log, code=1)
    refused("explain", "x" * 255, code=1)
    refused("explain", "\x00", code=1)


@pytest.mark.parametrize("stdin", [Terminal(), None])
def test_no_message_at_all_is_wrong_usage(monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    error = refused("explain", code=2)
    assert "Expected an error message" in error
    assert "kelbo explain -" in error


def test_a_terminal_gets_colours_and_a_narrow_one_narrow_lines(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "50")
    out = kelbo("explain", "my loss is nan").out
    assert "\x1b[" in out
    prose = out[: out.index("Broken")]
    assert max(len(line.replace("\x1b[1;36m", "")) for line in prose.splitlines()) <= 60


def test_it_reads_a_pipe():
    script = "from kelbo.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", script, "explain"],
        input=f"loss: 1.2\n{NO_LOSS}",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("The model has no loss")
