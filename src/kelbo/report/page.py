"""One HTML page about a run."""

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, StrictUndefined, Template

import kelbo
from kelbo.evaluation import figures
from kelbo.evaluation.findings import findings
from kelbo.files import write_text
from kelbo.report import pictures, quantities, summary
from kelbo.report.checks import check_arrays, check_evaluation, check_metrics
from kelbo.report.notices import command, missing_pictures, notices
from kelbo.report.words import prose, signed, with_breaks
from kelbo.runs import ARRAYS, ENVIRONMENT, EVALUATION, METRICS, PICTURES, REPORT, RunDirectory

_Content = TypeVar("_Content")


def write_report(run: RunDirectory) -> Path:
    """Write the run's pictures and its report; return the path of the report.

    What the run does not hold yet is left out; the page then names the command that adds it.

    Raises:
        RunError: the run has no configuration, or one of its files is damaged.
        DataError: its images or latent means are NaN.
    """
    config = run.read_config()
    metrics = _read(run, METRICS, run.read_metrics, check_metrics)
    evaluation = _read(run, EVALUATION, lambda: _evaluation(run), check_evaluation)
    environment = _read(run, ENVIRONMENT, lambda: run.read_json(ENVIRONMENT))
    latent_dim = figures.latent_dim(evaluation) or None
    arrays = _read(run, ARRAYS, run.read_arrays, lambda found: check_arrays(found, latent_dim))
    name = run.path.resolve().name
    folder = run.file(PICTURES)
    said = set(map(str, findings(evaluation)))
    traversals = pictures.traversals(arrays, evaluation.get("kl_per_dimension"), folder)
    content = {
        "name": name,
        "title": summary.title(config, name),
        "subtitle": summary.subtitle(config),
        "notices": notices(run, config, metrics, evaluation),
        "quantities": quantities.quantities(evaluation),
        "images": evaluation.get("images"),
        "training_time": summary.training_time(metrics, config),
        "validated": any(column.startswith("val_") for column in metrics),
        "losses": pictures.losses(metrics, folder),
        "pairs": pictures.pairs(arrays, folder),
        "samples": pictures.samples(arrays, folder),
        "traversals": traversals,
        "traversals_left_out": _left_out(len(traversals), len(arrays.get("traversals", ()))),
        "traversal_values": _marks(arrays.get("traversal_values")),
        "missing": missing_pictures(evaluation, arrays),
        "plane": pictures.latent_plane(arrays, folder),
        "kl": pictures.kl_per_dimension(evaluation, folder),
        "dimensions": quantities.dimensions(evaluation),
        "references": quantities.reference_points(evaluation),
        "notes": [note for note in evaluation.get("notes", []) if note not in said],
        "config": summary.tables(config),
        "environment": summary.tables(environment),
        "repeat": command("train", run),
        "version": kelbo.__version__,
    }
    write_text(run.file(REPORT), _template().render(content))
    return run.file(REPORT)


def _read(
    run: RunDirectory,
    name: str,
    read: Callable[[], Mapping[str, _Content]],
    check: Callable[[Mapping[str, _Content]], None] = lambda content: None,
) -> Mapping[str, _Content]:
    """What one file holds: nothing when it is not written yet, an error when it is damaged."""
    if not run.file(name).is_file():
        return {}
    content = read()
    try:
        check(content)
    except ValueError as error:
        raise run.damaged(name, error) from error
    return content


def _evaluation(run: RunDirectory) -> dict[str, Any]:
    """The figures that there are; null is JSON's way to say that there is none."""
    figures = run.read_json(EVALUATION)
    return {name: value for name, value in figures.items() if value is not None}


def _template() -> Template:
    source = resources.files("kelbo.report").joinpath("template.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"breaks": with_breaks, "prose": prose}
    return environment.from_string(source.read_text(encoding="utf-8"))


def _marks(values: np.ndarray | None) -> list[str]:
    """The scale above the traversals: both ends, and the middle when there is one."""
    if values is None:
        return []
    middle = [len(values) // 2] if len(values) % 2 == 1 and len(values) > 2 else []
    return [signed(values[index]) for index in (0, *middle, -1)]


def _left_out(shown: int, stored: int) -> str:
    return f"The {shown} most informative of {stored}." if shown < stored else ""
