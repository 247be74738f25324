"""The `kelbo` program: its commands, and how failures reach the user."""

import errno
import sys
from typing import Annotated, NoReturn

import typer

import kelbo
from kelbo.cli.console import say
from kelbo.cli.evaluate import evaluate
from kelbo.cli.info import info
from kelbo.cli.reconstruct import reconstruct
from kelbo.cli.report import report
from kelbo.cli.sample import sample
from kelbo.cli.train import train
from kelbo.errors import KelboError, UsageError

FAILED = 1
WRONG_USAGE = 2

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


for command in (train, evaluate, sample, reconstruct, report, info):
    app.command()(command)


def main() -> NoReturn:
    """Run the program: exit 0 when all went well, 1 when the work failed, 2 on wrong usage."""
    try:
        app()
    except UsageError as error:
        _fail(str(error), WRONG_USAGE)
    except KelboError as error:
        _fail(str(error), FAILED)
    except OSError as error:
        _fail(_explain(error), FAILED)
    except MemoryError:
        _fail("There is not enough memory. Use a smaller --batch-size or --image-size.", FAILED)
    sys.exit(0)


def _explain(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full{where}. What had been finished is kept; free some space and "
            "repeat the command."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Not allowed{where}: {error.strerror}. Choose a place that you may write to."
    return f"{error.strerror or error}{where}."


def _fail(message: str, code: int) -> NoReturn:
    say(f"Error: {message}", style="bold red")
    sys.exit(code)
