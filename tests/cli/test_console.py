import io
import os
import sys

import pytest
from rich.console import Console

from kelbo.cli import console
from kelbo.errors import DataError
from tests.cli.program import kelbo


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 40 columns in place of stderr."""
    stream = io.StringIO()
    shown = Console(file=stream, width=40, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "stderr", shown)
    return stream


def test_a_terminal_shows_a_message_broken_between_words(terminal):
    path = "/a/very-long/path/that-does-not-fit/into-one-line/of-the-terminal"
    console.say(f"The run {path} holds the model after two epochs, as it should.")
    lines = terminal.getvalue().splitlines()
    assert path in lines
    assert all(len(line) <= 40 for line in lines if line != path)


def test_a_file_gets_a_message_in_one_line(capsys):
    console.say("word " * 40)
    assert capsys.readouterr().err == "word " * 40 + "\n"


def test_a_message_is_printed_to_the_letter(capsys):
    console.say("images[:, :, 0] [bold]not markup[/bold] :smile:")
    assert capsys.readouterr().err == "images[:, :, 0] [bold]not markup[/bold] :smile:\n"


def test_figures_are_aligned_whatever_the_width(capsys):
    console.print_figures(
        [("ELBO", "-103.41", "nats"), ("KL", "25.31", ""), ("Rest", "1", "r" * 99)]
    )
    assert capsys.readouterr().out.splitlines() == [
        "ELBO  -103.41  nats",
        "KL      25.31",
        f"Rest        1  {'r' * 99}",
    ]


@pytest.mark.parametrize("error", [None, DataError("ours"), RuntimeError("theirs")])
def test_the_chatter_of_libraries_is_held_back_unless_they_fail(capfd, error):
    try:
        with console.quiet_stderr():
            os.write(sys.stderr.fileno(), b"chatter")
            if error:
                raise error
    except Exception as raised:
        assert raised is error
    print("after", file=sys.stderr)
    chatter = "chatter" if isinstance(error, RuntimeError) else ""
    assert capfd.readouterr().err == f"{chatter}after\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor", ".", "--format", "sarf"),
        ("recipes", "table", "--format", "htm"),
        ("recipes", "run", "--eager", "of"),
        ("recipes", "bisect", "--mode", "defalt"),
        ("recipes", "bisect", "--script", "repairs"),
    ],
)
def test_an_option_that_takes_names_answers_another_with_the_nearest(arguments):
    result = kelbo(*arguments)
    assert (result.code, result.out) == (2, "")
    said = " ".join(result.err.replace("│", " ").split())
    assert f"There is no {arguments[-2][2:].replace('eager', 'mode')} {arguments[-1]!r}." in said
    assert "Did you mean '" in said
