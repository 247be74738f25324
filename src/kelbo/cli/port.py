"""`kelbo port`: a VAE script or notebook of the books, rewritten for Keras 3."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kelbo.cli.console import BackendOption, say
from kelbo.errors import DataError, UsageError

if TYPE_CHECKING:
    from kelbo.clinic.doctor import Source
    from kelbo.clinic.port import Ported

_STREAM = "-"  # stdin in place of the script, stdout in place of the file

ScriptArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SCRIPT",
        help="A script or a notebook; - to read it from stdin.",
        show_default=False,
    ),
]
OutOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write it; - for stdout. Default: SCRIPT's name with -keras3, or stdout for "
        "a script from stdin.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")]
CheckOption = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Run the ported script, with a few steps on random numbers in place of its training, "
        "and compare its loss with the original's formula. Nothing else runs the script's code.",
    ),
]


def port(
    script: ScriptArgument,
    out: OutOption = None,
    force: ForceOption = False,
    check: CheckOption = False,
    backend: BackendOption = None,
) -> None:
    """Rewrite a VAE script of the books for Keras 3, so that it runs on all three backends.

    The loss closure, the loss layer and model.add_loss become a model with a compute_loss, and
    Lambda sampling becomes a layer; the network, the weight of the KL term, the data, comments and
    formatting stay. A notebook stays one: its cells, its text and its magics are kept, and outputs
    that no longer hold are dropped. SCRIPT itself is never changed. What cannot be ported is left,
    marked by a comment and listed; the exit code is then 1.

    The script is not run, except by [bold]--check[/bold], which runs all of it up to its
    training: use it for scripts that you trust. It downloads nothing.

    Example: [bold]kelbo port vae.py --check[/bold] writes vae-keras3.py
    """
    from kelbo.backends.choice import choose
    from kelbo.clinic.doctor import Severity
    from kelbo.clinic.port import port as rewrite
    from kelbo.clinic.port import port_notebook

    if backend is not None and not check:
        raise UsageError(
            "--backend says where --check runs the script. Add --check, or leave --backend out: "
            "the ported script runs on every backend."
        )
    place = _place(script, out, force)
    chosen = choose(backend)[0] if check else ""
    source = _read(script)
    name = source.path
    if place is not None and bool(source.cells) != _is_notebook(place):
        kind = "a notebook, whose name ends in .ipynb" if source.cells else "a script, no notebook"
        raise UsageError(f"{name} becomes {kind}. Name another file than {place}.")
    try:
        ported = port_notebook(source) if source.cells else rewrite(source)
    except RecursionError:
        raise DataError(f"{name} cannot be ported: its expressions are nested too deep.") from None
    for left in ported.left:
        where = f"{name}:{_place_in(left.cell, [left.line])}"
        say(f"{where}: left as it was: {left.reason}", style="yellow")
    for finding in ported.kept:
        at = finding.place
        where = f"{name}:{_place_in(at.cell, [at.line])}" if at is not None else name
        say(
            f"{where}: {finding.rule.code} {finding.rule.title}: the port does not change it. "
            f"See: kelbo doctor --explain {finding.rule.code}",
            style="yellow",
        )
    if not ported.vae:
        say(
            f"No VAE was recognised in {name}: it has no KL term that kelbo knows"
            + (
                ". Its loss is rewritten as it is; whether it is a bound is not said."
                if ported.rewritten
                else ", and no loss is rewritten."
            )
        )
    faulty = any(finding.rule.severity is Severity.ERROR for finding in ported.kept)
    if not ported.changed:
        say(f"There is nothing {'more ' * bool(ported.left)}to port in {name}.")
        raise typer.Exit(1 if ported.left or faulty else 0)
    if place is None:
        sys.stdout.write(ported.text)
    else:
        from kelbo.files import write_text

        write_text(place, ported.text)
        say(f"Wrote {place}.")
    for rewritten in ported.cells:
        say(f"Rewritten: {_place_in(rewritten.cell, rewritten.lines)}.")
    if ported.cells:
        first = ported.cells[0].cell
        say(f"The outputs of cell {first} and of the cells after it no longer hold, and are gone.")
    for finding in ported.errors:
        line = finding.place.line if finding.place is not None else 1
        cell = finding.place.cell if finding.place is not None else None
        where = f"Line {line} of the ported script" if cell is None else _place_in(cell, [line])
        say(
            f"{where}: {finding.rule.code} {finding.rule.title}. "
            f"See: kelbo doctor --explain {finding.rule.code}",
            style="yellow",
        )
    has_loss = ported.vae or ported.rewritten or ported.formula is not None
    if check and ported.left:
        say("Nothing is checked, because something was left as it was.")
    elif check and not has_loss:
        say("Nothing is checked, because there is no VAE.")
    checked = not check or has_loss and not ported.left and _check(ported, script, chosen)
    if ported.left or ported.errors or faulty or not checked:
        raise typer.Exit(1)


def _read(script: Path) -> "Source":
    """The script, from its file or from stdin.

    Raises:
        UsageError: nothing comes from stdin.
        DataError: it cannot be read.
    """
    from kelbo.clinic import doctor

    if str(script) == _STREAM:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("Expected a script from stdin, as in: kelbo port - < vae.py")
        source = doctor.read_stream(getattr(sys.stdin, "buffer", sys.stdin))
    else:
        source = doctor.load(str(script))
    if isinstance(source, doctor.Skipped):
        raise DataError(f"{source.path} cannot be ported: {source.reason}")
    return source


def _place(script: Path, out: str | None, force: bool) -> Path | None:
    """The file to write the ported script to; None for stdout.

    Raises:
        UsageError: there is a file already, or it is the script itself.
    """
    if (out or str(script)) == _STREAM:
        return None
    suffix = script.suffix if _is_notebook(script) else ".py"
    place = Path(out) if out is not None else script.with_name(f"{script.stem}-keras3{suffix}")
    if place.exists() and script.exists() and place.samefile(script):
        raise UsageError(
            f"{place} is the script itself, which is never written. Name another file."
        )
    if place.is_dir():
        raise UsageError(f"Expected the name of a file, received the folder {place}.")
    if place.exists() and not force:
        raise UsageError(f"{place} exists. Use --force to replace it, or -o to name another file.")
    return place


def _is_notebook(path: Path) -> bool:
    return path.suffix.lower() == ".ipynb"


def _place_in(cell: int | None, lines: Sequence[int]) -> str:
    """Lines, and the cell of a notebook in which they are."""
    from kelbo.clinic.doctor.words import in_words

    ranges: list[list[int]] = []
    for line in sorted(lines):
        if ranges and line == ranges[-1][-1] + 1:
            ranges[-1].append(line)
        else:
            ranges.append([line])
    named = in_words([f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in ranges])
    return named if cell is None else f"cell {cell}, line{'s' * (len(lines) > 1)} {named}"


def _check(ported: "Ported", script: Path, backend: str) -> bool:
    """Run the ported script and report the result; return whether all is well."""
    from kelbo.clinic.port import check

    text = ported.runnable or ported.text
    found = check(text, script.resolve().parent, ported.formula, backend)
    if found.loss is None:
        say(f"The check failed on {backend}: {found.failure}", style="bold red")
        return False
    say(f"Loss of a batch on {backend}: {found.loss:.6g} nats, as the script weighs them.")
    if found.expected is None:
        say("The original's loss is not read as a formula, so there is nothing to compare.")
    elif found.equal:
        say(f"By the original's formula: {found.expected:.6g} nats. They agree.", style="green")
    else:
        say(f"By the original's formula: {found.expected:.6g} nats. They differ!", style="bold red")
    say(f"After three steps of training: {found.trained[-1]:.6g} nats.")
    return found.equal
