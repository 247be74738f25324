"""What stands at the top of the page: what is wrong with the model, and what the run lacks."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelbo.evaluation.figures import latent_dim
from kelbo.evaluation.findings import Finding, findings
from kelbo.runs import ARRAYS, CONFIG, ENVIRONMENT, EVALUATION, METRICS, RunDirectory


@dataclass(frozen=True)
class Notice:
    """Something that a reader must know first.

    Attributes:
        title: what it is, in a few words.
        text: what it means and what to do.
        command: the command that helps, or "".
        grave: whether the model is of no use as it is.
    """

    title: str
    text: str
    command: str = ""
    grave: bool = False


def notices(
    run: RunDirectory,
    config: Mapping[str, Any],
    metrics: Mapping[str, Sequence[float]],
    evaluation: Mapping[str, Any],
) -> list[Notice]:
    """What a reader must know first, the most important on top."""
    found = [_of(finding) for finding in findings(evaluation)]
    found += filter(
        None,
        [
            _changed(config, evaluation),
            _training(run, config, metrics),
            _not_evaluated(run),
            _environment(run),
        ],
    )
    return found


def _of(finding: Finding) -> Notice:
    return Notice(finding.title, finding.text, grave=finding.grave)


def _changed(config: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Notice | None:
    """A configuration that is not that of the model which was evaluated."""
    model = config.get("model")
    told = model.get("latent_dim") if isinstance(model, Mapping) else None
    found = latent_dim(evaluation)
    if told is None or not found or told == found:
        return None
    return Notice(
        "The configuration is of another model",
        f"{CONFIG} says that z has the size {told}, and the evaluated model's has {found}: the "
        "file was changed after the training, and nothing that it says is certain.",
        grave=True,
    )


def _training(
    run: RunDirectory, config: Mapping[str, Any], metrics: Mapping[str, Sequence[float]]
) -> Notice | None:
    """A training that was not finished."""
    if not metrics:
        return Notice(
            "No model yet",
            "No epoch of this training was finished. To repeat it:",
            command("train", run),
            grave=True,
        )
    training = config.get("training")
    planned = training.get("epochs") if isinstance(training, Mapping) else None
    done = len(metrics["epoch"])
    if not isinstance(planned, int) or done >= planned:
        return None
    return Notice(
        f"Stopped after {done} of {planned} epochs",
        "The training did not finish, and the model is that of the last whole epoch. To train it "
        "again from the start:",
        command("train", run),
    )


def _not_evaluated(run: RunDirectory) -> Notice | None:
    missing = [
        what
        for name, what in (
            (EVALUATION, "the figures on the test set"),
            (ARRAYS, "the reconstructions, samples and latent means"),
        )
        if not run.file(name).is_file()
    ]
    if not missing or not run.file(METRICS).is_file():
        return None
    return Notice(
        "Not evaluated yet",
        f"To add {' and '.join(missing)}:",
        command("evaluate", run),
    )


def _environment(run: RunDirectory) -> Notice | None:
    if run.file(ENVIRONMENT).is_file() or not run.file(METRICS).is_file():
        return None
    return Notice(
        "Unknown environment",
        "The versions and the device of this training are not known. To repeat it:",
        command("train", run),
    )


def command(verb: str, run: RunDirectory) -> str:
    """A command about this run, to be pasted into a shell."""
    path = shlex.quote(str(run.path))
    if verb == "train":
        return f"kelbo train --config {shlex.quote(str(run.file(CONFIG)))}"
    return f"kelbo {verb} {path}"


def missing_pictures(evaluation: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, str]:
    """Why a run with pictures has no samples or no traversals: a sentence for each."""
    missing = [name for name in ("samples", "traversals") if not len(arrays.get(name, ()))]
    if not arrays or not missing:
        return {}
    reasons = {"samples": "This run stores none.", "traversals": "This run stores none."}
    if evaluation and evaluation.get("kl") is None:
        reasons["samples"] = "There are none: an autoencoder has no prior to draw from."
        reasons["traversals"] = (
            "There are none: without a prior nothing says how far to walk along a dimension."
        )
    elif evaluation.get("active_units") == 0:
        reasons["traversals"] = (
            "There are none: no latent dimension is active, so none tells one image from another."
        )
    return {name: reasons[name] for name in missing}
