"""What a run directory holds, read and checked for a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from kelbo.evaluation import figures
from kelbo.report import summary
from kelbo.report.checks import check_arrays, check_evaluation, check_metrics
from kelbo.runs import ARRAYS, ENVIRONMENT, EVALUATION, METRICS, RunDirectory

_Content = TypeVar("_Content")


@dataclass(frozen=True, eq=False)
class Contents:
    """A run; what it does not hold yet is empty.

    Attributes:
        run: the directory.
        config: of the training.
        metrics: a list a column, with a value for each epoch.
        evaluation: the figures on the test images.
        environment: where it was trained.
        arrays: what the pictures show.
    """

    run: RunDirectory
    config: Mapping[str, Any]
    metrics: Mapping[str, Sequence[float]]
    evaluation: Mapping[str, Any]
    environment: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def name(self) -> str:
        """That of the directory."""
        return self.run.path.resolve().name

    @property
    def title(self) -> str:
        """Model and data: `vae on mnist`."""
        return summary.title(self.config, self.name)


def read_contents(run: RunDirectory) -> Contents:
    """Read a run.

    Raises:
        RunError: it has no configuration, or one of its files is damaged.
    """
    evaluation = _read(run, EVALUATION, lambda: _evaluation(run), check_evaluation)
    latent_dim = figures.latent_dim(evaluation) or None
    return Contents(
        run,
        run.read_config(),
        _read(run, METRICS, run.read_metrics, check_metrics),
        evaluation,
        _read(run, ENVIRONMENT, lambda: run.read_json(ENVIRONMENT)),
        _read(run, ARRAYS, run.read_arrays, lambda found: check_arrays(found, latent_dim)),
    )


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
