"""`python -m kelbo` is the program."""

import runpy
import subprocess
import sys

import pytest

from kelbo import __version__


def test_it_is_the_program_of_the_same_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kelbo", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("kelbo", run_name="__main__")
    assert end.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_it_exits_as_the_program_does():
    command = [sys.executable, "-m", "kelbo", "doctor", "there-is-no-such-script.py"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Error: There is no file or folder" in ended.stderr and "Traceback" not in ended.stderr
