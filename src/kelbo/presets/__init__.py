"""Named models: no maths, only a choice of parts, each with the options that it declares.

    kelbo.presets.vae((28, 28, 1), latent_dim=16)  # each can be called, with the shape of a datum
    kelbo.presets.make("vae", data.description, latent_dim=16)  # by name, for data at hand
    kelbo.presets.beta_vae((28, 28, 1), beta=8.0, prior="standard-normal")  # other parts, options

The declarations import no framework; making a model does.
"""

import math
from typing import TYPE_CHECKING, Any

from kelbo.presets.design import Design, preset
from kelbo.presets.families import FAMILIES
from kelbo.presets.likelihoods import LIKELIHOODS
from kelbo.presets.models import PRESETS
from kelbo.presets.networks import NETWORKS
from kelbo.presets.objectives import OBJECTIVES
from kelbo.presets.option import Option
from kelbo.presets.part import Part
from kelbo.presets.posteriors import POSTERIORS
from kelbo.presets.preset import Preset
from kelbo.presets.priors import PRIORS
from kelbo.presets.warmup import Warmup

if TYPE_CHECKING:
    from kelbo.data.description import DataDescription
    from kelbo.model import LatentVariableModel

# By the name of a function: kelbo.presets.beta_vae is PRESETS["beta-vae"].
_CALLED = {name.replace("-", "_"): one for name, one in PRESETS.items()}

__all__ = [
    "FAMILIES",
    "LIKELIHOODS",
    "NETWORKS",
    "OBJECTIVES",
    "POSTERIORS",
    "PRESETS",
    "PRIORS",
    "Design",
    "Option",
    "Part",
    "Preset",
    "Warmup",
    "make",
    "preset",
]


def __getattr__(name: str) -> Preset:
    if name not in _CALLED:
        raise AttributeError(f"module 'kelbo.presets' has no attribute {name!r}")
    return _CALLED[name]


def __dir__() -> list[str]:
    return sorted([*__all__, *_CALLED])


def make(
    name: str,
    about: "DataDescription",
    *,
    batch_size: int = 128,
    latent_dim: int = 16,
    seed: int | None = None,
    precision: str | None = None,
    **choices: Any,
) -> "LatentVariableModel":
    """The model of that name for data that are described, not compiled yet.

    Args:
        name: in `PRESETS`.
        about: the data.
        batch_size: of the training, in which a warm-up counts its epochs.
        latent_dim: size of z.
        seed: of the noise.
        precision: of the networks; see `Preset`.
        **choices: names of parts by family, as network="mlp", where they are not the model's own;
            and options, of which a weight of the KL may be a `Warmup`.

    Raises:
        UsageError: an unknown name, a value that is none for it, or parts that do not go together.
    """
    from kelbo.presets.build import build

    parts = {family: choices.pop(family) for family in FAMILIES if family in choices}
    steps_per_epoch = math.ceil(about.count / batch_size)
    design = Design.of(name, parts, choices)
    return build(design, about.shape, latent_dim, seed, precision, steps_per_epoch)
