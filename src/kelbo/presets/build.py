"""A model made from its design."""

from collections.abc import Sequence
from typing import Any

import keras

from kelbo import networks
from kelbo.ae import AE
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.model import LatentVariableModel
from kelbo.precision import dtype_policy
from kelbo.presets.design import Design
from kelbo.presets.warmup import with_warmup
from kelbo.vae import VAE


def build(
    design: Design,
    data_shape: Sequence[int],
    latent_dim: int,
    seed: int | None = None,
    precision: str | None = None,
    steps_per_epoch: int | None = None,
) -> LatentVariableModel:
    """The model of a design, not compiled yet.

    Args:
        design: the parts and their options.
        data_shape: shape of one datum.
        latent_dim: size of z.
        seed: of the noise.
        precision: of the networks.
        steps_per_epoch: of the training, in which a warm-up counts; None where it is not known.

    Raises:
        UsageError: an impossible size, or parts that do not go together.
    """
    latent_dim = whole("latent_dim", latent_dim)
    if latent_dim < 1:
        raise UsageError(f"Expected latent_dim >= 1, received {latent_dim}.")
    given = {"data_shape": tuple(data_shape)}
    encoder, decoder = _networks(design, given["data_shape"], latent_dim, precision)

    def make(family: str, *arguments: Any, **options: Any) -> Any:
        part = design.parts[family]
        own = {name: given[name] for name in part.given}
        options = part.arguments({**design.values(family), **options})
        return part.class_(*arguments, **own, **options, name=family)

    likelihood = make("likelihood", decoder)
    posterior = make("posterior", encoder, latent_dim)
    objective_part = design.parts["objective"]
    weights = with_warmup(design.values("objective"), objective_part.scheduled, steps_per_epoch)
    objective = make("objective", **weights)
    if not design.parts["prior"].python:
        return AE(posterior, likelihood, objective=objective, seed=seed)
    return VAE(posterior, likelihood, make("prior"), objective, seed)


def _networks(
    design: Design, data_shape: tuple[int, ...], latent_dim: int, precision: str | None
) -> tuple[keras.Model, keras.Model]:
    """The encoder for the data, and the decoder with the outputs that the likelihood needs."""
    dtype = None if precision is None else dtype_policy(precision)
    part, likelihood = design.parts["network"], design.parts["likelihood"]
    encoder, decoder = (
        getattr(networks, f"{part.python}_{side}") for side in ("encoder", "decoder")
    )
    options = part.arguments(design.values("network"))
    outputs = likelihood.class_.output_shapes(
        data_shape, **likelihood.arguments(design.values("likelihood"))
    )
    return (
        encoder(data_shape, dtype=dtype, **options),
        decoder(data_shape, latent_dim, outputs, dtype=dtype, **options),
    )
