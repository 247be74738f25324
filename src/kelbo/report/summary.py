"""What a run was: its headline, its training and the tables of its configuration."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelbo.report.words import text


@dataclass(frozen=True)
class Table:
    """Names and values below one heading."""

    title: str
    rows: Sequence[tuple[str, str]]


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


def tables(content: Mapping[str, Any], title: str = "") -> list[Table]:
    """Any nested table as flat ones: first its own values, then one table a nested table."""
    own = [(key, text(value)) for key, value in content.items() if not isinstance(value, Mapping)]
    found = [Table(title, own)] if own else []
    for key, value in content.items():
        if isinstance(value, Mapping):
            found += tables(value, f"{title}.{key}" if title else key)
    return found
