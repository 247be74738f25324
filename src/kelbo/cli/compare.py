"""`kelbo compare`: several runs side by side, from their files alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelbo.cli.console import JsonOption, print_json, say
from kelbo.errors import UsageError
from kelbo.runs import RunDirectory

if TYPE_CHECKING:
    from kelbo.report.comparison import Comparison, Row


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Run directories.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Write one page too: figures, curves, reconstructions of the same test images "
            "and samples, side by side.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare runs: models, choices that differ, and every figure, the best of each marked.

    What forbids a comparison, such as other test images, is said first.

    Example: [bold]kelbo compare runs/vae runs/iwae --out comparison.html[/bold]
    """
    from kelbo.report.comparison import compare as compare_runs
    from kelbo.report.comparison_page import MOST_RUNS, missing, write_comparison
    from kelbo.report.contents import read_contents

    if not 2 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"Expected from 2 to {MOST_RUNS} runs to compare, received {len(runs)}.")
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("Expected different runs, received one of them twice.")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"Expected a name that ends in .html, received {out}.")
    found = compare_runs([read_contents(RunDirectory.open(run)) for run in runs])
    if out is not None:
        write_comparison(found, out)
    if json:
        print_json(_as_json(found) | ({} if out is None else {"page": str(out)}))
        return
    for notice in found.differences:
        say(f"{notice.title}: {notice.text}", style="yellow")
    for letter, run in zip(found.letters, found.runs, strict=True):
        print(f"{letter}  {run.title}, {run.run.path}")
    print()
    _print_table(found)
    for reason in missing(found):
        say(reason)
    if out is not None:
        print(f"\nPage: {out}", flush=True)


def _print_table(found: "Comparison") -> None:
    """A row each, a column a run; the best of a row has a star."""
    rows = [["", *found.letters, ""]]
    for row in (*found.choices, *found.figures):
        better = f"{row.better} is better" if row.better else ""
        cells = [cell.shown + (" *" if cell.best else "") or "none" for cell in row.cells]
        rows.append([row.name, *cells, ", ".join(filter(None, (row.unit, better)))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells, remark in rows:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True)]
        print("  ".join([name.ljust(widths[0]), *aligned, remark]).rstrip())
    if any(cell.best for row in found.figures for cell in row.cells):
        print("* the best")


def _as_json(found: "Comparison") -> dict[str, Any]:
    def row(each: "Row") -> dict[str, Any]:
        return {
            "name": each.name,
            "unit": each.unit,
            "better": each.better,
            "values": [cell.value for cell in each.cells],
            "best": [index for index, cell in enumerate(each.cells) if cell.best],
            "missing": [cell.missing for cell in each.cells],
        }

    return {
        "runs": [str(run.run.path) for run in found.runs],
        "differences": [f"{each.title}: {each.text}" for each in found.differences],
        "choices": [row(each) for each in found.choices],
        "figures": [row(each) for each in found.figures],
    }
