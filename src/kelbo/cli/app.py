"""The `kelbo` program: its commands, and how failures reach the user."""

import errno
import os
import re
import sys
from typing import Annotated, NoReturn

import typer

import kelbo
from kelbo.cli.compare import compare
from kelbo.cli.console import say
from kelbo.cli.doctor import doctor
from kelbo.cli.evaluate import evaluate
from kelbo.cli.explain import explain
from kelbo.cli.image_size import TakesImageSize
from kelbo.cli.info import info
from kelbo.cli.models import models
from kelbo.cli.port import port
from kelbo.cli.recipes import recipes
from kelbo.cli.reconstruct import reconstruct
from kelbo.cli.report import report
from kelbo.cli.sample import sample
from kelbo.cli.train import train
from kelbo.errors import KelboError
from kelbo.files import full_disk, is_full, place_of

FAILED = KelboError.exit_code

# An environment variable that shows the traceback of an unforeseen error.
_SHOW_TRACEBACK = "KELBO_TRACEBACK"

app = typer.Typer(
    name="kelbo",
    help=(
        "Variational autoencoders on Keras 3: train, judge, look.\n\n"
        "Start with: [bold]kelbo train --data mnist --out runs/first[/bold]"
    ),
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kelbo {kelbo.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


app.command(cls=TakesImageSize)(train)
for command in (evaluate, compare, sample, reconstruct, report, explain, doctor, port, info):
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(recipes, name="recipes")


def main() -> NoReturn:
    """Run the program: exit 0 when all went well, else as `kelbo.errors` has the rule."""
    code = 0
    try:
        try:
            code = _run()
        finally:
            # If the reader has gone, or the disk is full, it shows here and not when Python ends.
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("Interrupted.", FAILED)
    except KelboError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # As in `kelbo evaluate RUN | head -1`: the reader has what it wanted. Python would write
        # the rest once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(_explain(error), FAILED)
    except Exception as error:
        if os.environ.get(_SHOW_TRACEBACK):
            raise
        _fail(_explain_unexpected(error), FAILED)
    sys.exit(code)


def _run() -> int:
    """The exit code of a command that ends by itself."""
    try:
        app()
    except SystemExit as end:
        # Typer turns these two into exit codes of its own.
        if end.code == 130:
            raise KeyboardInterrupt from None
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        return int(end.code or 0)
    return 0


def _explain(error: OSError) -> str:
    if is_full(error):
        return f"{full_disk(error)} Nothing is half written: make room and repeat the command."
    where = place_of(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"Not allowed{where}: {error.strerror}. Change the permissions or choose another place."
        )
    return f"{error.strerror or error}{where}."


def _explain_unexpected(error: Exception) -> str:
    kind = type(error).__name__
    text = " ".join(str(error).split())
    # Every backend has an exception of its own for this.
    if isinstance(error, MemoryError) or re.search(
        "ResourceExhausted|RESOURCE_EXHAUSTED|[Oo]ut of memory|not enough memory", f"{kind} {text}"
    ):
        return (
            "There is not enough memory. Use a smaller --batch-size, --image-size, --latent-dim or "
            "--train-limit."
        )
    return (
        f"An error that kelbo did not foresee, {kind}: {text[:500]}\n"
        f"If it looks like a fault of kelbo, please report it with all that the same command "
        f"prints after {_SHOW_TRACEBACK}=1."
    )


def _fail(message: str, code: int) -> NoReturn:
    say(f"Error: {message}", style="bold red")
    sys.exit(code)
