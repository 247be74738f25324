"""Named models: no maths, only a choice of parts."""

from collections.abc import Callable

from kelbo.errors import unknown_name
from kelbo.model import LatentVariableModel
from kelbo.presets.ae import ae
from kelbo.presets.article import article
from kelbo.presets.beta_vae import beta_vae
from kelbo.presets.iwae import iwae
from kelbo.presets.vae import vae

PRESETS: dict[str, Callable[..., LatentVariableModel]] = {
    "ae": ae,
    "vae": vae,
    "beta-vae": beta_vae,
    "iwae": iwae,
    "article": article,
}

__all__ = ["PRESETS", "ae", "article", "beta_vae", "iwae", "preset", "vae"]


def preset(name: str) -> Callable[..., LatentVariableModel]:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise unknown_name("model", name, PRESETS)
    return PRESETS[name]
