"""A named model: a choice of parts, and nothing else. Imports no framework."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kelbo.model import LatentVariableModel


@dataclass(frozen=True)
class Preset:
    """A named model. Call it with the shape of a datum to make one.

    Attributes:
        name: as in `--model NAME`.
        paper: where the model comes from.
        changes: the part that makes it what it is, a family such as "objective"; empty of the VAE.
            Another one of that family would make it another model, and is refused.
        parts: names of its parts by family, where they are not the VAE's.
        defaults: of options, where they are not the part's own.
    """

    name: str
    paper: str
    changes: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __call__(
        self,
        data_shape: Sequence[int],
        latent_dim: int = 16,
        network: str | None = None,
        likelihood: str | None = None,
        *,
        posterior: str | None = None,
        prior: str | None = None,
        objective: str | None = None,
        seed: int | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> "LatentVariableModel":
        """Make the model, not compiled yet.

        Args:
            data_shape: shape of one datum, as (28, 28, 1).
            latent_dim: size of z.
            network: a name in `kelbo.presets.NETWORKS`; the model's own where None.
            likelihood: likewise in `LIKELIHOODS`.
            posterior: likewise in `POSTERIORS`.
            prior: likewise in `PRIORS`.
            objective: likewise in `OBJECTIVES`.
            seed: of the noise.
            precision: of the networks, a name in `kelbo.precision.PRECISIONS`; where None, Keras's
                global dtype policy. All that is a probability is float32 always.
            **options: of the parts, by name; a weight of the KL may be a Keras schedule.

        Raises:
            UsageError: an unknown name, an impossible size, or parts that do not go together.
        """
        from kelbo.presets.build import build
        from kelbo.presets.design import Design

        parts = {
            "network": network,
            "likelihood": likelihood,
            "posterior": posterior,
            "prior": prior,
            "objective": objective,
        }
        design = Design.of(self.name, parts, options)
        return build(design, data_shape, latent_dim, seed, precision)
