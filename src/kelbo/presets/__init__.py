"""Named models: no maths, only a choice of parts, and the options that each declares.

    kelbo.presets.vae((28, 28, 1), latent_dim=16)  # a function for each
    kelbo.presets.make("vae", data.description, latent_dim=16)  # by name, for data at hand

The declarations import no framework; making a model does.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kelbo.errors import UsageError, unknown_name
from kelbo.presets.ae import PRESET as _AE
from kelbo.presets.ae import ae
from kelbo.presets.article import PRESET as _ARTICLE
from kelbo.presets.article import article
from kelbo.presets.beta_vae import PRESET as _BETA_VAE
from kelbo.presets.beta_vae import beta_vae
from kelbo.presets.iwae import PRESET as _IWAE
from kelbo.presets.iwae import iwae
from kelbo.presets.option import Option
from kelbo.presets.preset import Preset
from kelbo.presets.vae import PRESET as _VAE
from kelbo.presets.vae import vae
from kelbo.presets.warmup import Warmup, with_warmup

if TYPE_CHECKING:
    from kelbo.data.description import DataDescription
    from kelbo.model import LatentVariableModel

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (_VAE, _BETA_VAE, _IWAE, _ARTICLE, _AE)
}
# The names of all options of all presets.
OPTIONS = frozenset(option.name for preset in PRESETS.values() for option in preset.options)
# What every preset takes, beside its own options.
_PARTS = ("latent_dim", "network", "likelihood", "seed", "precision")

__all__ = [
    "OPTIONS",
    "PRESETS",
    "Option",
    "Preset",
    "Warmup",
    "ae",
    "article",
    "beta_vae",
    "check_options",
    "iwae",
    "make",
    "option",
    "preset",
    "vae",
]


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise unknown_name("model", name, PRESETS)
    return PRESETS[name]


def option(model: str, name: str) -> Option:
    """The option of that name of a model.

    Raises:
        UsageError: there is no such model, or it has no such option; the message has the reason,
            and the models that have one.
    """
    options = {one.name: one for one in preset(model).options}
    if name in options:
        return options[name]
    others = [known for known in PRESETS.values() if name in (one.name for one in known.options)]
    if not others:
        raise unknown_name(f"option of the model {model!r}", name, options or OPTIONS)
    why = preset(model).refuses.get(name)
    raise UsageError(
        f"The model {model!r} takes no {name}{f': {why}' if why else ''}. Leave it out, or use "
        f"{' or '.join(f'--model {other.name}' for other in others)}."
    )


def check_options(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a model, each as its kind.

    Raises:
        UsageError: there is no such model, it has no such option, or a value is none for it.
    """
    preset(model)
    return {name: option(model, name).check(value) for name, value in options.items()}


def make(
    name: str, about: "DataDescription", *, batch_size: int = 128, **choices: Any
) -> "LatentVariableModel":
    """The model of that name for data that are described, not compiled yet.

    Args:
        name: in `PRESETS`.
        about: the data.
        batch_size: of the training, in which a warm-up counts its epochs.
        **choices: latent_dim, network, likelihood, seed, precision, and the model's own options;
            its beta may be a `Warmup`.

    Raises:
        UsageError: an unknown name, or a value that is none for it.
    """
    parts = {part: choices.pop(part) for part in _PARTS if part in choices}
    ours: dict[str, Any] = {one.name: one.default for one in preset(name).options}
    for known, value in choices.items():
        declared = option(name, known)
        ours[known] = value if isinstance(value, Warmup) else declared.check(value)
    ours = with_warmup(ours, about.count, batch_size)
    return preset(name).make(data_shape=about.shape, **parts, **ours)
