"""`kelbo recipes`: the catalogue of ways to attach the KL loss, and the lab that tries them."""

import dataclasses
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelbo.cli.console import (
    JsonOption,
    option_of,
    print_facts,
    print_json,
    quiet_stderr,
    say,
    start_backend,
    stderr,
)
from kelbo.errors import LabError, UsageError
from kelbo.files import write_text

if TYPE_CHECKING:
    from kelbo.clinic.recipes.cache import Cache
    from kelbo.clinic.recipes.matrix import Lab, Matrix, Trial

recipes = typer.Typer(
    rich_markup_mode="rich",
    invoke_without_command=True,
)


class Eager(enum.StrEnum):
    """The modes of TensorFlow to try."""

    ON = "on"
    OFF = "off"
    BOTH = "both"


class Mode(enum.StrEnum):
    """The lines of history to bisect."""

    DEFAULT = "default"
    OFF = "off"
    BOTH = "both"


class Which(enum.StrEnum):
    """The scripts of a recipe to use."""

    RECIPE = "recipe"
    REPAIR = "repair"
    BOTH = "both"


class Format(enum.StrEnum):
    """The format of the table."""

    MD = "md"
    HTML = "html"
    JSON = "json"


NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A recipe: 1-loss-closure, loss-closure or 1.")
]
RepairOption = Annotated[
    bool, typer.Option("--repair", help="The repaired script instead of the recipe.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where environments and results are kept. Default: the user's cache directory.",
        show_default=False,
    ),
]
TimeLimitOption = Annotated[
    float, typer.Option(metavar="SECONDS", min=1.0, help="Kill a trial that takes longer.")
]
JobsOption = Annotated[
    int, typer.Option(metavar="N", min=1, help="Trials that run at the same time.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Repeat measurements that were made before.")
]
BackendChoice = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="The backend of kelbo's own model, which computes what the recipes have to reach.",
        show_default=False,
    ),
]


@recipes.callback()
def _catalogue(context: typer.Context) -> None:
    """The ways of attaching the KL loss: list, read and run them with the software of their time.

    Example: [bold]kelbo recipes show 1-loss-closure --repair[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kelbo.clinic.recipes import measured
    from kelbo.clinic.recipes.catalogue import CATALOGUE
    from kelbo.clinic.recipes.verdict import MARKS

    matrix = measured.matrix()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("recipe", no_wrap=True)
    table.add_column("how the KL gets in")
    for title in ("TF 2.8", "Keras 3"):
        table.add_column(title, no_wrap=True, justify="center")
    for recipe in CATALOGUE.values():
        marks = []
        for environment in ("tf-2.8", "keras-3.15-tensorflow"):
            found = [
                matrix[recipe.name, script.kind, environment, "on"] for script in recipe.scripts
            ]
            marks.append(" → ".join(MARKS[trial.verdict] if trial else "?" for trial in found))
        # As text, or Rich would take [mu, log_var] for a style.
        about = Text(f"{recipe.title} ({recipe.taught_by}).\n{recipe.kl}")
        table.add_row(recipe.name, about, *marks)
    Console().print(table)
    say(
        "✓ works, ≠ works wrongly, ✗ fails, · not available; after the arrow the repaired script. "
        "Eager execution is on. All environments: kelbo recipes table",
        style="dim",
    )


@recipes.command()
def show(name: NameArgument, repair: RepairOption = False) -> None:
    """Print the script of a recipe; on a terminal also what it teaches.

    Example: [bold]kelbo recipes show 1-loss-closure --repair > vae.py[/bold]
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.syntax import Syntax

    from kelbo.clinic.recipes.catalogue import find_recipe, find_script

    script = find_script(name, repair)
    code = script.path.read_text(encoding="utf-8")
    console = Console()
    if not console.is_terminal:
        print(code, end="")
        return
    stderr.print(Markdown(find_recipe(name).readme))
    stderr.print()
    console.print(Syntax(code, "python", theme="ansi_dark", background_color="default"))


@recipes.command()
def environments(cache: CacheOption = None, json: JsonOption = False) -> None:
    """List the environments in which recipes can be run, and the space that they take.

    Example: [bold]kelbo recipes environments[/bold]
    """
    from kelbo.clinic.recipes.environments import find_environments

    known = [*find_environments([]), *find_environments(["here"])]
    store = _cache(cache)
    sizes = store.sizes()
    rows: list[dict[str, Any]] = [
        {
            "name": environment.name,
            "title": environment.title,
            "python": environment.python,
            "built": environment.interpreter is not None or store.is_built(environment),
            "bytes": sizes.get(store.directory(environment).name, 0),
        }
        for environment in known
    ]
    if json:
        print_json({"cache": str(store.path), "environments": rows})
        return
    width = max(len(row["title"]) for row in rows)
    facts = []
    for row in rows:
        state = _space(row["bytes"]) if row["bytes"] else "here" if row["built"] else "not built"
        facts.append((row["name"], f"{row['title']:<{width}}  Python {row['python']:<7} {state}"))
    print_facts(facts)
    say(f"In {store.path}: {_space(sum(sizes.values()))}", style="dim")


@recipes.command()
def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Recipes; default: all.", show_default=False),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ENV",
            help="An environment, or 'here' for this interpreter's; may be repeated. Default: all.",
            show_default=False,
        ),
    ] = None,
    eager: Annotated[
        Eager, option_of(Eager, "mode", help="Eager execution of TensorFlow.")
    ] = Eager.BOTH,
    time_limit: TimeLimitOption = 300.0,
    jobs: JobsOption = 1,
    fresh: FreshOption = False,
    cache: CacheOption = None,
    backend: BackendChoice = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 if a verdict is not the one kelbo comes with."),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="Write the results into this file.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run recipes in their environments and judge the results; known ones are not run again.

    Example: [bold]kelbo recipes run 1 3 --env tf-2.8 --env here[/bold]
    """
    from kelbo.clinic.recipes import measured
    from kelbo.clinic.recipes.catalogue import find_recipes
    from kelbo.clinic.recipes.environments import MODES, find_environments
    from kelbo.clinic.recipes.matrix import Matrix, cells
    from kelbo.clinic.recipes.verdict import VERDICTS

    modes = MODES if eager == Eager.BOTH else (str(eager),)
    wanted = cells(find_recipes(names or []), find_environments(env or []), modes)
    if not wanted:
        raise UsageError(
            f"Nothing to run: none of these environments has a mode with eager execution {eager}. "
            "Only TensorFlow can switch it off."
        )
    known = _read_matrix(save) if save and save.exists() else Matrix({}, ())
    with _lab(cache, backend, len(wanted), time_limit, jobs, fresh) as lab:
        trials = lab.run(wanted)
    if save:
        write_text(save, known.updated(trials).to_json())
    if json:
        print_json({"trials": [dataclasses.asdict(trial) for trial in trials]})
    else:
        counts = [sum(trial.verdict == verdict for trial in trials) for verdict in VERDICTS]
        print_facts(list(zip(VERDICTS, map(str, counts), strict=True)))
    if check:
        different = measured.matrix().differences(trials)
        if different:
            raise LabError(
                "These verdicts are not the ones that kelbo comes with:\n"
                + "\n".join(_difference(new, old) for new, old in different)
            )
        say(f"All {len(trials)} verdicts are the ones that kelbo comes with.")


@recipes.command()
def table(
    format: Annotated[Format, option_of(Format, "format", help="Its format.")] = Format.MD,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="A file of `kelbo recipes run --save`. Default: the results kelbo comes with.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write.", show_default=False),
    ] = None,
) -> None:
    """Print the table of verdicts: recipe x environment x mode.

    Example: [bold]kelbo recipes table --format html --out recipes.html[/bold]
    """
    from kelbo.clinic.recipes import measured
    from kelbo.clinic.recipes import table as tables

    matrix = _read_matrix(results) if results else measured.matrix()
    make = {Format.MD: tables.to_markdown, Format.HTML: tables.to_html, Format.JSON: tables.to_json}
    text = make[format](matrix, measured.history())
    if out:
        write_text(out, text)
    else:
        print(text, end="")


@recipes.command()
def bisect(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Recipes; default: all.", show_default=False),
    ] = None,
    script: Annotated[
        Which, option_of(Which, "script", help="The recipe, its repair, or both.")
    ] = Which.BOTH,
    mode: Annotated[
        Mode,
        option_of(Mode, "mode", help="As each release comes, with eager execution off, or both."),
    ] = Mode.BOTH,
    time_limit: TimeLimitOption = 300.0,
    jobs: JobsOption = 1,
    cache: CacheOption = None,
    backend: BackendChoice = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="Write the history into this file.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find the exact release in which a recipe broke, or worked again, by bisection.

    Example: [bold]kelbo recipes bisect 3-add-loss-kl[/bold]
    """
    from kelbo.clinic.recipes import history
    from kelbo.clinic.recipes.catalogue import find_recipes

    modes = (history.DEFAULT, history.OFF) if mode == Mode.BOTH else (str(mode),)
    wanted = [
        history.Line(part, mode)
        for recipe in find_recipes(names or [])
        for part in recipe.scripts
        for mode in modes
        if script in (Which.BOTH, part.kind)
    ]
    if not wanted:
        raise UsageError("Nothing to bisect: these recipes need no repair. Leave out --script.")
    known = history.from_json(_read(save), str(save)) if save and save.exists() else []
    with _lab(cache, backend, None, time_limit, jobs) as lab:
        changes = history.find_changes(wanted, lab.run)
    if save:
        write_text(save, history.to_json(history.merged(known, wanted, changes)))
    if json:
        print_json({"changes": [dataclasses.asdict(change) for change in changes]})
        return
    for line in wanted:
        mine = [change for change in changes if change.line == line.key]
        same = "" if mine else " the same verdict in every available release"
        print(f"{line.script.name}, {line.mode}:{same}")
        for change in mine:
            for point in (change.before, change.after):
                print(f"  {point.release:<22} {point.verdict:<15} {point.reason}".rstrip())
            if change.skipped:
                print(f"  Not available between the two: {', '.join(change.skipped)}")


@recipes.command()
def clean(cache: CacheOption = None) -> None:
    """Remove every environment and every result that the lab keeps on this machine.

    Example: [bold]kelbo recipes clean[/bold]
    """
    store = _cache(cache)
    freed = store.clean()
    print(f"Removed {_space(freed)} from {store.path}")
    say("uv keeps what it downloaded; `uv cache clean` removes that, too.", style="dim")


def _cache(path: Path | None) -> "Cache":
    from kelbo.clinic.recipes.cache import Cache, default_cache

    return Cache(path or default_cache())


@contextmanager
def _lab(
    cache: Path | None,
    backend: str | None,
    cells: int | None,
    time_limit: float,
    jobs: int = 1,
    fresh: bool = False,
) -> Iterator["Lab"]:
    """The lab, with what kelbo's own model says the recipes have to reach, under a progress bar."""
    start_backend(backend)

    from kelbo.cli.lab_progress import LabProgress
    from kelbo.clinic.recipes.matrix import Lab
    from kelbo.clinic.recipes.parity import KINDS
    from kelbo.clinic.recipes.reference import parity_arrays

    store = _cache(cache)
    with quiet_stderr():
        arrays = {kind: parity_arrays(kind) for kind in KINDS}
    with LabProgress(store, cells) as progress:
        try:
            yield Lab(store, arrays, progress, time_limit, jobs, fresh)
        except KeyboardInterrupt:
            raise LabError(
                "Interrupted. What was measured is kept; the same command goes on from there."
            ) from None


def _read_matrix(path: Path) -> "Matrix":
    from kelbo.clinic.recipes.matrix import Matrix

    return Matrix.from_json(_read(path), str(path))


def _read(path: Path) -> str:
    # What is not text is not JSON either, and is refused as such.
    return path.read_text(encoding="utf-8", errors="replace")


def _difference(new: "Trial", old: "Trial | None") -> str:
    before, now = (_said(trial) if trial else "not measured" for trial in (old, new))
    return f"{' '.join(new.key)}: was {before}; is {now}"


def _said(trial: "Trial") -> str:
    return f"{trial.verdict} ({trial.reason})" if trial.reason else trial.verdict


def _space(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
