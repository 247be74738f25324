"""A named model: what makes it, the paper that it is of, and the options that it declares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kelbo.presets.option import Option

if TYPE_CHECKING:
    from kelbo.model import LatentVariableModel


@dataclass(frozen=True)
class Preset:
    """A named model.

    Attributes:
        name: as in `--model NAME`.
        make: a function of data_shape, latent_dim, network, likelihood, seed, precision and of
            the options, by name.
        paper: where the model comes from.
        options: what its user may choose besides.
        refuses: options of other models that this one cannot have, each with the reason.
    """

    name: str
    make: "Callable[..., LatentVariableModel]"
    paper: str
    options: tuple[Option, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)
