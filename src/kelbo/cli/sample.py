"""`kelbo sample`: images drawn from the prior."""

import math
from pathlib import Path
from typing import Annotated

import typer

from kelbo.cli.console import BackendOption, RunArgument, check_picture, counting_bar, stderr
from kelbo.errors import UsageError
from kelbo.memory import check_memory
from kelbo.runs import RunDirectory

# Samples are float32 on the device and here; a pixel of the picture is a tile's and the picture's.
_BYTES_A_VALUE = 8
_BYTES_A_PIXEL = 6


def sample(
    run: RunArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The picture to write.")],
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the draws.")] = 0,
    backend: BackendOption = None,
) -> None:
    """Draw images from the prior and write them as one picture.

    Example: [bold]kelbo sample runs/first -n 64 --out samples.png[/bold]
    """
    from kelbo.cli.evaluate import load_run_model

    check_picture(out)
    directory = RunDirectory.open(run)
    model = load_run_model(directory, backend)

    from kelbo.report.grid import READABLE, save_grid
    from kelbo.vae import VAE

    if not isinstance(model, VAE):
        raise UsageError(
            f"{run} is an autoencoder, which has no prior to draw from. "
            "`kelbo reconstruct` shows what it has learnt."
        )
    height, width = model.data_shape[:2]
    scale = math.ceil(READABLE / max(height, width))
    check_memory(
        n * (_BYTES_A_VALUE * model.data_dim + _BYTES_A_PIXEL * height * width * scale**2),
        f"A picture of {n:,} images of {height} x {width} pixels, each shown {scale} times as "
        "large,",
        "Ask for fewer with -n; kelbo.VAE.sample in Python gives many as an array.",
    )
    with counting_bar("Drawing") as progress:
        task = progress.add_task("", total=n)
        images = model.sample(
            n, seed=seed, on_progress=lambda done: progress.update(task, completed=done)
        )
    with stderr.status("Writing the picture"):
        save_grid(out, images, columns=math.ceil(math.sqrt(n)))
    print(out)
