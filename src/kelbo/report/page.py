"""One HTML page about a run."""

from pathlib import Path

import numpy as np

import kelbo
from kelbo.evaluation.findings import findings
from kelbo.files import write_text
from kelbo.report import pictures, quantities, summary
from kelbo.report.contents import read_contents
from kelbo.report.notices import command, missing_pictures, notices
from kelbo.report.template import template
from kelbo.report.words import signed
from kelbo.runs import PICTURES, REPORT, RunDirectory


def write_report(run: RunDirectory) -> Path:
    """Write the run's pictures and its report; return the path of the report.

    What the run does not hold yet is left out; the page then names the command that adds it.

    Raises:
        RunError: the run has no configuration, or one of its files is damaged.
        DataError: its images or latent means are NaN.
    """
    found = read_contents(run)
    config, metrics, evaluation, arrays = (
        found.config,
        found.metrics,
        found.evaluation,
        found.arrays,
    )
    name = found.name
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
        "environment": summary.tables(found.environment),
        "repeat": command("train", run),
        "version": kelbo.__version__,
    }
    write_text(run.file(REPORT), template("template.html.jinja").render(content))
    return run.file(REPORT)


def _marks(values: np.ndarray | None) -> list[str]:
    """The scale above the traversals: both ends, and the middle when there is one."""
    if values is None:
        return []
    middle = [len(values) // 2] if len(values) % 2 == 1 and len(values) > 2 else []
    return [signed(values[index]) for index in (0, *middle, -1)]


def _left_out(shown: int, stored: int) -> str:
    return f"The {shown} most informative of {stored}." if shown < stored else ""
