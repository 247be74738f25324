"""`kelbo evaluate`: the figures of a run on its test images."""

import enum
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kelbo.cli.console import (
    BackendOption,
    JsonOption,
    RunArgument,
    counting_bar,
    listen_to_warnings,
    option_of,
    print_figures,
    print_json,
    say,
    start_backend,
)
from kelbo.errors import DataError, RunError, UsageError
from kelbo.runs import EVALUATION, REPORT, RunDirectory

if TYPE_CHECKING:
    from kelbo.data import Dataset
    from kelbo.model import LatentVariableModel


class Estimator(enum.StrEnum):
    """How log p(x) is estimated."""

    IW = "iw"
    AIS = "ais"


_TEMPERATURES, _IMAGES = 1000, 100


def evaluate(
    run: RunArgument,
    estimator: Annotated[
        Estimator,
        option_of(
            Estimator,
            "estimator",
            "iw: importance sampling from q(z|x), the importance-weighted bound. ais: annealed "
            "importance sampling too, which does not depend on q(z|x), and its check on images "
            "that the model draws.",
        ),
    ] = Estimator.IW,
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            metavar="K",
            min=1,
            help="Draws for each image in the importance-weighted bound, and chains for each in "
            "AIS; more make both tighter.",
        ),
    ] = 10,
    temperatures: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="T",
            help=f"Of AIS, {_TEMPERATURES:,} unless said; more make it tighter and take longer.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"Of AIS: how many test images, evenly spaced, {_IMAGES} unless said.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.keras",
            help="A Keras model in whose output samples are compared with test images, in place "
            "of pixels. No code of its is run.",
            show_default=False,
        ),
    ] = None,
    backend: BackendOption = None,
    json: JsonOption = False,
) -> None:
    """Judge a run on its test images: bounds in nats, codes, reconstructions and samples.

    Replaces the run's evaluation.json, pictures and report.html.

    Example: [bold]kelbo evaluate runs/first --samples 50[/bold]
    """
    annealed = estimator is Estimator.AIS
    if not annealed and (temperatures or images):
        raise UsageError("--temperatures and --images are of --estimator ais. Add that.")
    directory = RunDirectory.open(run)
    model, data = load_run(directory, backend)
    options: dict[str, Any] = {}
    if annealed:
        from kelbo.evaluation.annealed import Annealing

        sizes = (temperatures or _TEMPERATURES, images or _IMAGES)
        options["annealing"] = Annealing(samples, *sizes)
    if features is not None:
        from kelbo.evaluation.distances import read_features

        options["features"] = read_features(features, data.data_shape)
        options["features_name"] = features.name
    figures = evaluate_and_report(directory, model, data, samples, **options)
    print_result(directory, figures, json)


def load_run(
    directory: RunDirectory, backend: str | None
) -> tuple["LatentVariableModel", "Dataset"]:
    """The model and the data of a run.

    Raises:
        RunError: the run is damaged or has no model yet.
        DataError: the data are not there any more, or have changed.
    """
    listen_to_warnings()
    model = load_run_model(directory, backend)

    from kelbo.cli.cache_progress import CacheProgress
    from kelbo.training.agreement import check_unchanged, read_configuration
    from kelbo.training.train import load_data

    try:
        with CacheProgress() as watcher:
            data = load_data(read_configuration(directory), watcher)
    except UsageError as error:  # the command is right, and names a run alone
        raise DataError(f"The data of {directory.path} cannot be loaded. {error}") from error
    check_unchanged(directory, data)
    return model, data


def load_run_model(directory: RunDirectory, backend: str | None) -> "LatentVariableModel":
    """The model of a run.

    Raises:
        RunError: the run is damaged or has no model yet, or its configuration is of another model.
    """
    start_backend(backend)

    from kelbo.loading import load_model
    from kelbo.training.agreement import check_model, read_configuration

    configuration = read_configuration(directory)
    model = load_model(directory.model_file())
    check_model(directory, configuration, model)
    return model


def evaluate_and_report(
    directory: RunDirectory,
    model: "LatentVariableModel",
    data: "Dataset",
    samples: int,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate, and write evaluation.json, arrays.npz, the pictures and the report.

    Args:
        directory: of the run.
        model: its model.
        data: its data.
        samples: K of the importance-weighted bound.
        **options: others of `kelbo.evaluation.evaluate.evaluate`.
    """
    from kelbo.evaluation.figures import most_informative_first
    from kelbo.evaluation.pictures import picture_arrays
    from kelbo.report import write_report

    start = time.perf_counter()
    try:
        figures = _evaluate(model, data, samples, options)
        figures["seconds"] = round(time.perf_counter() - start, 2)
        arrays = picture_arrays(model, data, most_informative_first(figures))
        directory.write_json(EVALUATION, figures)
        directory.write_arrays(arrays)
        write_report(directory)
    except KeyboardInterrupt:
        raise RunError(
            f"Interrupted during the evaluation. {directory.path} keeps its model; "
            f"`kelbo evaluate {directory.path}` evaluates it again."
        ) from None
    return figures


def _evaluate(
    model: "LatentVariableModel", data: "Dataset", samples: int, options: dict[str, Any]
) -> dict[str, Any]:
    from kelbo.evaluation.evaluate import evaluate as evaluate_model

    with counting_bar("Evaluating") as progress:
        count = data.count("test")
        task = progress.add_task("", total=count)

        def annealed(share: float) -> None:
            progress.update(task, description="Annealing", completed=round(share * count))

        return evaluate_model(
            model,
            data,
            num_samples=samples,
            on_progress=lambda images: progress.update(task, completed=images),
            on_annealing=annealed,
            **options,
        )


def print_result(directory: RunDirectory, figures: dict[str, Any], as_json: bool) -> None:
    """The figures and the path of the report, on stdout; how to read them, on stderr."""
    report = directory.file(REPORT)
    if as_json:
        print_json({"run": str(directory.path), "report": str(report), "evaluation": figures})
        return
    print_figures(figure_rows(figures))
    print(f"\nReport: {report}", flush=True)
    for note in figures["notes"]:
        say(note)


def figure_rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and remark of every figure that is one number; a floor is shown as a log p(x)."""
    from kelbo.evaluation.figure import Role
    from kelbo.evaluation.figures import shown

    rows = [("Test images", f"{figures['images']:,}", "")]
    for figure in shown(figures, Role.BOUND, Role.FIGURE, Role.FLOOR):
        value = figure.value(figures)
        value = -value if figure.role is Role.FLOOR else value
        error = figure.standard_error(figures)
        better = f"{figure.better} is better" if figure.better else ""
        remark = (figure.unit, f"± {error}" if error else "", better)
        rows.append(
            (
                figure.name(figures) + (", as log p(x)" if figure.role is Role.FLOOR else ""),
                figure.show(value, figures),
                ", ".join(filter(None, remark)),
            )
        )
    return rows
