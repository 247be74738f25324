"""What a run says in words and figures: headline, tables and what is still to do.

A figure that the run does not hold is left out, never shown as zero.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelbo.runs import ARRAYS, CONFIG, ENVIRONMENT, EVALUATION, METRICS, RunDirectory


@dataclass(frozen=True)
class Quantity:
    """One figure with its meaning.

    Attributes:
        name: what it is called.
        value: the number as text.
        unit: its unit, or "".
        meaning: how to read it, or "".
    """

    name: str
    value: str
    unit: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Notice:
    """Something that the run lacks, and the command that adds it."""

    text: str
    command: str


@dataclass(frozen=True)
class Table:
    """Names and values below one heading."""

    title: str
    rows: Sequence[tuple[str, str]]


def nats(value: float) -> str:
    """A number of nats with two decimals and a true minus: `−103.41`."""
    return f"{value:,.2f}".replace("-", "−")


def number(value: float) -> str:
    """A number of no particular unit: whole, or with three significant digits."""
    if float(value).is_integer():
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:,.3g}".replace("-", "−")


def signed(value: float) -> str:
    """A coordinate with its sign: `−2.5`, `0`, `+2.5`."""
    return f"{value:+.2g}".replace("-", "−") if value else "0"


def text(value: Any) -> str:
    """A value of the configuration or the environment as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(text(entry) for entry in value)
    return str(value)


def title(config: Mapping[str, Any], fallback: str) -> str:
    """The headline of a run: `vae on mnist`, or `fallback` when the configuration names neither."""
    model = _choice(config, "model", "preset")
    source = _choice(config, "data", "source")
    data = Path(source).stem if source else ""
    return " on ".join(part for part in (model, data) if part) or fallback


def subtitle(config: Mapping[str, Any]) -> str:
    """The choices that tell one run from the next, in one line."""
    latent = _choice(config, "model", "latent_dim")
    parts = (
        ("{} network", _choice(config, "model", "network")),
        ("{} latent dimension" if latent == "1" else "{} latent dimensions", latent),
        ("{} likelihood", _choice(config, "model", "likelihood")),
        ("{} precision", _choice(config, "model", "precision")),
        ("seed {}", _choice(config, "training", "seed")),
        ("trained on {}", _choice(config, "training", "backend")),
    )
    return " · ".join(pattern.format(value) for pattern, value in parts if value)


def _choice(config: Mapping[str, Any], table: str, key: str) -> str:
    section = config.get(table)
    return text(section[key]) if isinstance(section, Mapping) and key in section else ""


def training_time(metrics: Mapping[str, Sequence[float]], config: Mapping[str, Any]) -> str:
    """How much training there was: `3 of 10 epochs in 2 min 5 s, 1,420 images a second.`

    Empty when there are no metrics.
    """
    if not metrics:
        return ""
    done = len(next(iter(metrics.values())))
    planned = _choice(config, "training", "epochs")
    of = f" of {planned}" if planned and planned != str(done) else ""
    sentence = f"{done}{of} epoch{'' if f'{done}{of}' == '1' else 's'}"
    seconds = sum(metrics.get("seconds", [math.nan]))
    if math.isfinite(seconds):
        sentence += f" in {_duration(seconds)}"
    speed = metrics.get("samples_per_second", [math.nan])[-1]
    if math.isfinite(speed):
        sentence += f", {speed:,.0f} images a second"
    return sentence + "."


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}\u00a0h {minutes}\u00a0min" if hours else f"{minutes}\u00a0min {rest}\u00a0s"


def quantities(evaluation: Mapping[str, Any]) -> list[Quantity]:
    """The figures on the test set, the most important first."""
    unit = str(evaluation.get("unit", "nats"))
    draws = evaluation.get("num_samples")
    per_dimension = evaluation.get("kl_per_dimension")
    known = {
        "elbo": ("ELBO", "A lower bound on log p(x), averaged over the images; higher is better."),
        "importance_weighted_bound": (
            f"Importance-weighted bound, K\u00a0=\u00a0{draws}"
            if draws
            else "Importance-weighted bound",
            "A tighter lower bound on log p(x), from K draws of z an image.",
        ),
        "reconstruction": (
            "Reconstruction",
            "E[log p(x|z)] under q(z|x): how well its own code explains an image.",
        ),
        "kl": (
            "KL divergence",
            "KL(q(z|x) ‖ p(z)): how much the code says about the image; the ELBO pays for it.",
        ),
        "active_units": (
            "Active units",
            "Latent dimensions whose mean varies from image to image.",
        ),
        "effective_beta": (
            "Effective β",
            "The weight of the KL term against the ELBO's; 1 is the ELBO.",
        ),
    }
    found = []
    for key, (name, meaning) in known.items():
        if key not in evaluation:
            continue
        value = evaluation[key]
        if key == "active_units":
            of = f" of {len(per_dimension)}" if per_dimension else ""
            found.append(Quantity(name, f"{value}{of}", "", meaning))
        elif key == "effective_beta":
            found.append(Quantity(name, number(value), "", meaning))
        else:
            found.append(Quantity(name, nats(value), unit, meaning))
    beside = {"images", "unit", "num_samples", "seconds", *known}
    for key, value in evaluation.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and key not in beside:
            found.append(Quantity(readable(key), number(value)))
    return found


_FLOORS = {
    "independent_pixels": (
        "Best model of independent pixels",
        "Knows every pixel's mean and nothing else: a model has to get below.",
    ),
    "pixel_entropy": (
        "Entropy of the grey pixels",
        "No model's cross-entropy gets below: it is the data's own greyness.",
    ),
}


def reference_points(evaluation: Mapping[str, Any]) -> list[Quantity]:
    """This run between the floors of its data, in −log p(x), from the highest to the lowest.

    Empty when the evaluation knows no floors.
    """
    floors = evaluation.get("floors") or {}
    if not floors:
        return []
    unit = str(evaluation.get("unit", "nats"))
    own = {
        "elbo": ("This run, −ELBO", "An upper bound on −log p(x)."),
        "importance_weighted_bound": (
            "This run, −importance-weighted bound",
            "A tighter upper bound on −log p(x).",
        ),
    }
    if "elbo" not in evaluation:
        own = {"reconstruction": ("This run, −reconstruction", "The cross-entropy alone.")}
    points = [(-evaluation[key], *own[key]) for key in own if key in evaluation]
    for key, value in floors.items():
        points.append((value, *_FLOORS.get(key, (readable(key), ""))))
    points.sort(key=lambda point: -point[0])
    return [Quantity(name, nats(value), unit, meaning) for value, name, meaning in points]


@dataclass(frozen=True)
class Dimension:
    """One latent dimension in figures.

    Attributes:
        index: its number, counted from 0.
        kl: nats.
        activity: the variance of its posterior mean over the images, or None when not known.
        active: `yes` or `no`, or None when not known.
    """

    index: int
    kl: str
    activity: str | None
    active: str | None


def dimensions(evaluation: Mapping[str, Any]) -> list[Dimension]:
    """Every latent dimension, the most informative first; empty when there are no figures."""
    kl = evaluation.get("kl_per_dimension") or []
    activity = evaluation.get("activity")
    active = evaluation.get("active_dimensions")
    order = sorted(range(len(kl)), key=lambda index: -kl[index])
    return [
        Dimension(
            index,
            nats(kl[index]),
            None if activity is None else number(activity[index]),
            None if active is None else ("yes" if index in active else "no"),
        )
        for index in order
    ]


def readable(key: str) -> str:
    """A key as words: `active_units` is `active units`."""
    return key.replace("_", " ")


def tables(content: Mapping[str, Any], title: str = "") -> list[Table]:
    """Any nested table as flat ones: first its own values, then one table a nested table."""
    own = [(key, text(value)) for key, value in content.items() if not isinstance(value, Mapping)]
    found = [Table(title, own)] if own else []
    for key, value in content.items():
        if isinstance(value, Mapping):
            found += tables(value, f"{title}.{key}" if title else key)
    return found


def command(verb: str, run: RunDirectory) -> str:
    """A command about this run, to be pasted into a shell."""
    path = shlex.quote(str(run.path))
    if verb == "train":
        return f"kelbo train --config {shlex.quote(str(run.file(CONFIG)))}"
    return f"kelbo {verb} {path}"


def notices(run: RunDirectory) -> list[Notice]:
    """What the run does not hold yet, and how to add it."""
    found = []
    if not run.file(METRICS).is_file():
        found.append(
            Notice("No epoch of this training was finished. To repeat it:", command("train", run))
        )
    elif not run.file(ENVIRONMENT).is_file():
        found.append(
            Notice(
                "The versions and the device of this training are not known. To repeat it:",
                command("train", run),
            )
        )
    missing = [
        what
        for name, what in (
            (EVALUATION, "the figures on the test set"),
            (ARRAYS, "the reconstructions, samples and latent means"),
        )
        if not run.file(name).is_file()
    ]
    if missing:
        found.append(
            Notice(
                f"This run has not been evaluated yet. To add {' and '.join(missing)}:",
                command("evaluate", run),
            )
        )
    return found
