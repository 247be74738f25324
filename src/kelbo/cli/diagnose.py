"""`kelbo doctor --model FILE.keras --data DATA`: what is wrong with a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from kelbo.cli.console import listen_to_warnings, print_json, start_backend
from kelbo.runs import METRICS, RunDirectory

if TYPE_CHECKING:
    from kelbo.clinic.diagnosis import Diagnosis

# `kelbo.diagnose` looks at no more images.
_IMAGES = 1000
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}


def diagnose_model(
    model: Path,
    data: str,
    roles: Mapping[str, str] | None = None,
    as_json: bool = False,
    backend: str | None = None,
) -> None:
    """Print the diagnosis of a model file, or of a run's model, on the test images of a data set.

    The networks of a VAE that is not kelbo's are read without its code. A metrics.csv beside the
    file, as in a run directory, shows since which epoch. A conditional VAE gets the labels of the
    data.

    Raises:
        RunError: the file is damaged, or lacks something that a VAE needs; or the run has no model.
        NoRunError: the folder is no run.
        UsageError: there is no such data set, or no such role.
        DataError: the data do not have the shape that the model takes.
        typer.Exit: with 1, when the diagnosis has an error.
    """
    listen_to_warnings()
    start_backend(backend)

    from kelbo.clinic.diagnosis import diagnose
    from kelbo.clinic.foreign import read_model
    from kelbo.data import load

    if model.is_dir():
        model = RunDirectory.open(model).model_file()
    subject = read_model(model, **(roles or {}))
    images, labels = load(data).head("test", _IMAGES)
    x: Any = subject.shaped(images)
    run = RunDirectory(model.parent)
    # Beside a file that is not kelbo's it could be anybody's.
    is_run = not subject.is_read and run.file(METRICS).is_file()
    metrics = run.read_metrics() if is_run else None
    if subject.conditions:
        x = [x, *subject.conditions_of(labels)]
    diagnosis = diagnose(subject, x, metrics=metrics)
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        _show(diagnosis, Console(highlight=False))
    if diagnosis.errors:
        raise typer.Exit(1)


def _show(diagnosis: "Diagnosis", console: Console) -> None:
    """Print the diagnosis, the head of each finding in the colour of its severity."""
    for line, severity in diagnosis.lines(console.width):
        console.print(Text(line, _STYLES.get(severity, "")), soft_wrap=True)
