import errno
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import typer

import kelbo as package
from kelbo.cli import app as module
from kelbo.cli import main
from kelbo.errors import DataError, UsageError
from tests.cli.program import kelbo, process, refused

COMMANDS = ("train", "evaluate", "sample", "reconstruct", "report", "explain", "info")


@pytest.fixture
def command(monkeypatch):
    """Make `kelbo broken` a command that raises."""

    def make(error):
        broken = typer.Typer()

        @broken.callback()
        def root():
            pass

        @broken.command("broken")
        def raises():
            raise error

        monkeypatch.setattr(module, "app", broken)

    return make


def test_the_program_is_installed_as_kelbo():
    (script,) = entry_points(group="console_scripts", name="kelbo")
    assert script.load() is main


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["models"],
        ["models", "show", "vae"],
        ["explain", "my loss is nan"],
        ["recipes"],
        ["recipes", "run", "--help"],
        ["recipes", "show", "1"],
        ["recipes", "table"],
        ["recipes", "environments"],
    ],
)
@pytest.mark.once
def test_what_needs_no_backend_imports_none(arguments):
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "from kelbo.cli import main\nmain()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0
    assert run.stdout
    loaded = set(run.stderr.split("LOADED", 1)[1].split())
    heavy = {"keras", "tensorflow", "jax", "torch", "matplotlib", "PIL"}
    if "table" not in arguments:  # which is a template
        heavy.add("jinja2")
    assert not heavy & loaded


def test_version():
    result = kelbo("--version")
    assert (result.code, result.out) == (0, f"kelbo {package.__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    result = kelbo(name, "--help")
    assert result.code == 0
    assert re.search(rf"Example: kelbo {name}\b", result.out)


def test_the_program_lists_its_commands_and_where_to_start():
    help = kelbo("--help").out
    assert all(name in help for name in COMMANDS)
    assert "Start with: kelbo train" in help


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "--nope"], "No such option: --nope"),
        (["train", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["evaluate"], "Missing argument 'RUN'"),
        (["sample", "run"], "Missing option '--out'"),
        (["evaluate", "run", "--samples", "0"], "Invalid value for '--samples'"),
    ],
)
def test_wrong_usage_exits_2(arguments, message):
    result = kelbo(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("Wrong [b]usage[/b]."), 2, r"Error: Wrong \[b\]usage\[/b\]\."),
        (DataError("Bad data."), 1, "Error: Bad data."),
        (KeyboardInterrupt(), 1, "Error: Interrupted."),
        (MemoryError(), 1, "not enough memory.*--batch-size"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"), 1, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left", "run/a"), 1, r"disk is full \(run/a\).*make room"),
        (OSError(errno.EFBIG, "File too large", "run/a"), 1, r"too large \(run/a\).*make room"),
        (PermissionError(errno.EACCES, "Permission denied", "run"), 1, r"Not allowed \(run\)"),
        (OSError(errno.EROFS, "Read-only file system", "run"), 1, r"Not allowed \(run\)"),
        (OSError("the archive broke"), 1, "the archive broke"),
        (ZeroDivisionError("division by zero"), 1, "not foresee, ZeroDivisionError"),
    ],
)
def test_every_error_is_one_message_and_an_exit_code(command, error, code, message):
    command(error)
    result = kelbo("broken")
    assert (result.code, result.out) == (code, "")
    assert re.search(message, result.err, re.DOTALL)
    assert len(re.findall("^Error: ", result.err, re.MULTILINE)) == 1
    assert "Traceback" not in result.err


def test_what_nobody_foresaw_can_be_traced(command, monkeypatch):
    command(ZeroDivisionError("division by zero"))
    monkeypatch.setenv("KELBO_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        kelbo("broken")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that can be closed")
def test_a_reader_that_leaves_early_is_no_error(trained):
    started = process("report", trained)
    started.stdout.close()
    with started:
        messages = started.stderr.read()
    assert (started.returncode, messages) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_at_stdout_is_an_error():
    with open("/dev/full", "w") as full:
        script = "from kelbo.cli import main\nmain()"
        run = subprocess.run(
            [sys.executable, "-c", script, "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 1
    assert "The disk is full" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_backend_that_is_not_installed_comes_with_its_cure(monkeypatch):
    monkeypatch.setattr("kelbo.backends.choice.installed", lambda: ["jax"])
    message = refused("info", "--backend", "tensorflow", code=1)
    assert "pip install 'kelbo[tensorflow]'" in message
    assert "Did you mean 'torch'" in refused("info", "--backend", "troch", code=2)
