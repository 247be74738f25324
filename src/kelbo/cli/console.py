"""How the commands speak: results to stdout, everything else to stderr."""

import enum
import json
import logging
import os
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from kelbo.errors import KelboError, UsageError, unknown_name

# Progress, notes and errors.
stderr = Console(stderr=True, highlight=False)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="tensorflow, jax or torch. Default: KERAS_BACKEND, else one that is installed.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of a table.")
]
SamplesOption = Annotated[
    int,
    typer.Option(
        "--samples",
        metavar="K",
        min=1,
        help="Draws for each image in the importance-weighted bound; more make it tighter.",
    ),
]


def option_of(names: type[enum.StrEnum], kind: str, help: str) -> Any:
    """An option that takes one of some names, and for another suggests the nearest of them.

    Args:
        names: the names.
        kind: what they name, such as "format".
        help: the help text, as Typer takes it.
    """

    def parse(text: str) -> enum.StrEnum:
        try:
            return names(text)
        except ValueError:
            raise typer.BadParameter(str(unknown_name(kind, text, map(str, names)))) from None

    return typer.Option(parser=parse, metavar="|".join(names), help=help)


def say(message: str, style: str = "") -> None:
    """Print one message on stderr, verbatim; a terminal shows it broken between words."""
    if stderr.is_terminal:
        # Not by Rich, which would break a long path too.
        message = "\n".join(
            textwrap.fill(line, stderr.width, break_long_words=False, break_on_hyphens=False)
            for line in message.splitlines()
        )
    stderr.print(Text(message, style), soft_wrap=True)


def counting_bar(title: str) -> Progress:
    """A bar on stderr that counts what is done, and goes away at the end; only on a terminal."""
    return Progress(
        TextColumn(title),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=stderr,
        expand=True,
        transient=True,
        disable=not stderr.is_terminal,
    )


def check_picture(path: Path) -> None:
    """Refuse a picture's name that does not end in .png, before any work.

    Raises:
        UsageError: it ends in something else.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"Expected a name that ends in .png, received {path}.")


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def print_figures(rows: list[tuple[str, str, str]]) -> None:
    """Print a small table of name, figure and remark on stdout."""
    names, figures = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, figure, remark in rows:
        print(f"{name:<{names}}  {figure:>{figures}}  {remark}".rstrip())


def print_facts(rows: list[tuple[str, str]], width: int = 0) -> None:
    """Print a small table of name and value on stdout, the names at least so many wide."""
    names = max(width, *(len(name) for name, _ in rows))
    for name, value in rows:
        print(f"{name:<{names}}  {value}")


def show_code(code: str, console: Console) -> None:
    """Print Python, indented: in colours on a terminal, plain elsewhere."""
    code = textwrap.indent(code, " " * 4)
    if not console.is_terminal:
        console.print(Text(code), soft_wrap=True)
        return
    from rich.syntax import Syntax

    syntax = Syntax(code, "python", theme="ansi_dark", background_color="default")
    highlighted = syntax.highlight(code)
    highlighted.rstrip()
    console.print(highlighted, soft_wrap=True)


def start_backend(name: str | None, network: str | None = None) -> str:
    """Choose the Keras backend, import Keras quietly, and say which backend it is and why.

    Args:
        name: of the backend that the user asks for.
        network: the name of the pair of networks, where it is known.

    Raises:
        UsageError: there is no such backend.
        BackendError: it is not installed.
    """
    from kelbo.backends.choice import choose

    backend, reason = choose(name, network)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras

        # The backend's libraries have more to say when they are first used than when imported.
        keras.ops.zeros(()) + 1
    if backend == "tensorflow":
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    say(f"Backend: {backend} ({reason})", style="dim")
    return backend


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what libraries write to the stderr of the process; show it if they fail.

    TensorFlow's C++ part starts with several lines that no setting turns off.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        yield
        return
    with tempfile.TemporaryFile() as held:
        saved = os.dup(descriptor)
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        except KelboError:
            raise
        except Exception:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, descriptor)
            os.close(saved)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"Warning: {record.getMessage()}", style="yellow")


def listen_to_warnings() -> None:
    """Show what the library logs as a warning, such as a damaged image that is skipped."""
    logger = logging.getLogger("kelbo")
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        logger.addHandler(_Handler())
        logger.propagate = False
