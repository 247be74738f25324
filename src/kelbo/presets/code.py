"""The Python that makes a model, as its user would write it. Imports no framework."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from kelbo.presets.design import Design

# Wider than this, each argument has a line of its own.
_WIDTH = 88


def code(design: Design, data_shape: tuple[int, ...] = (28, 28, 1), latent_dim: int = 16) -> str:
    """A program that makes the model of a design, with the classes that it is made of.

    Args:
        design: the parts and their options; a warm-up in epochs is left to the reader.
        data_shape: shape of one datum.
        latent_dim: size of z.
    """
    likelihood, network = design.parts["likelihood"], design.parts["network"]
    options = network.arguments(design.values("network"))
    of_likelihood = likelihood.arguments(design.values("likelihood"))
    shapes = _call(f"kelbo.{likelihood.python}.output_shapes", ["data_shape"], of_likelihood)
    make = f"kelbo.networks.{network.python}"
    arguments = [
        _part(design, "posterior", "encoder", "latent_dim"),
        _part(design, "likelihood", "decoder"),
    ]
    has_prior = bool(design.parts["prior"].python)
    if has_prior and design.parts["prior"].name != "standard-normal":
        arguments.append(f"prior={_part(design, 'prior')}")
    arguments.append(f"objective={_part(design, 'objective')}")
    lines = [
        "import kelbo",
        "",
        f"data_shape, latent_dim = {data_shape!r}, {latent_dim}",
        f"encoder = {_call(f'{make}_encoder', ['data_shape'], options)}",
        f"decoder = {_call(f'{make}_decoder', ['data_shape', 'latent_dim', shapes], options)}",
        f"model = {_call('kelbo.VAE' if has_prior else 'kelbo.AE', arguments, {})}",
        'model.compile("adam")',
    ]
    return "\n".join(lines)


def _part(design: Design, family: str, *positional: str) -> str:
    part = design.parts[family]
    given = {name: _Name(name) for name in part.given}
    options = part.arguments(design.values(family))
    return _call(f"kelbo.{part.python}", positional, {**given, **options})


class _Name(str):
    """A name in the program, not a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _call(name: str, positional: Sequence[str], named: Mapping[str, Any]) -> str:
    arguments = [*positional, *(f"{each}={_literal(value)}" for each, value in named.items())]
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    inside = textwrap.indent("".join(f"{each},\n" for each in arguments), " " * 4)
    return f"{name}(\n{inside})"


def _literal(value: Any) -> str:
    """A value as ruff and black would write it."""
    return f'"{value}"' if type(value) is str else repr(value)
