"""`kelbo reconstruct`: test images above their reconstructions."""

from pathlib import Path
from typing import Annotated

import typer

from kelbo.cli.console import BackendOption, RunArgument, check_picture
from kelbo.runs import RunDirectory


def reconstruct(
    run: RunArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The picture to write.")],
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many images.")] = 20,
    backend: BackendOption = None,
) -> None:
    """Write the first test images above their reconstructions as one picture.

    Example: [bold]kelbo reconstruct runs/first --out reconstructions.png[/bold]
    """
    from kelbo.cli.evaluate import load_run

    check_picture(out)
    model, data = load_run(RunDirectory.open(run), backend)

    from kelbo.report.grid import save_pairs

    originals, _ = data.head("test", n)
    save_pairs(out, originals, model.reconstruct(originals), columns=min(10, len(originals)))
    print(out)
