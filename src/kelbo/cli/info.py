"""`kelbo info`: what is installed here, and what kelbo knows by name."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from kelbo.cli.console import BackendOption, JsonOption, print_facts, print_json, start_backend
from kelbo.errors import unknown_name
from kelbo.presets import PRESETS

_TOPICS = ("models",)


def info(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="[models]",
            help="models: each with its paper and options; needs no backend.",
            show_default=False,
        ),
    ] = None,
    backend: BackendOption = None,
    json: JsonOption = False,
) -> None:
    """Show versions, backends, the device, and the known models, networks and data sets.

    Example: [bold]kelbo info models[/bold]
    """
    if topic is not None:
        if topic not in _TOPICS:
            raise unknown_name("topic", topic, _TOPICS)
        _print_models(json)
        return

    from kelbo.backends.choice import BACKENDS

    start_backend(backend)

    from kelbo.data import BINARIZATIONS, NAMED
    from kelbo.networks import NETWORKS
    from kelbo.precision import PRECISIONS
    from kelbo.presets.parts import LIKELIHOODS
    from kelbo.training.environment import describe_environment

    environment = describe_environment()
    backends = {name: _installed(name) for name in BACKENDS}
    known = {
        "models": list(PRESETS),
        "networks": list(NETWORKS),
        "likelihoods": list(LIKELIHOODS),
        "precisions": list(PRECISIONS),
        "binarizations": list(BINARIZATIONS),
        "data_sets": list(NAMED),
    }
    if json:
        print_json({"environment": environment, "backends": backends, "known": known})
        return
    rows = [(name.replace("_", " "), str(value)) for name, value in environment.items()]
    rows += [
        (f"backend {name}", found or f"not installed: pip install 'kelbo[{name}]'")
        for name, found in backends.items()
    ]
    rows += [(name.replace("_", " "), ", ".join(names)) for name, names in known.items()]
    print_facts(rows)


def _print_models(as_json: bool) -> None:
    """Every model with its paper, its options and their defaults, and what it refuses."""
    if as_json:
        print_json({"models": {name: _model(name) for name in PRESETS}})
        return
    rows: list[tuple[str, str]] = []
    for name, preset in PRESETS.items():
        rows.append((name, preset.paper))
        rows += [(f"  --set {one.name}={one.default:g}", one.meaning) for one in preset.options]
        rows += [(f"  no {refused}", why) for refused, why in preset.refuses.items()]
    print_facts(rows)


def _model(name: str) -> dict[str, Any]:
    preset = PRESETS[name]
    return {
        "paper": preset.paper,
        "options": {
            one.name: {"default": one.default, "minimum": one.minimum, "meaning": one.meaning}
            for one in preset.options
        },
        "refuses": dict(preset.refuses),
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
