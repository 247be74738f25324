"""`kelbo info`: what is installed here, and what kelbo knows by name."""

from importlib.metadata import PackageNotFoundError, version

from kelbo.cli.console import BackendOption, JsonOption, print_facts, print_json, start_backend
from kelbo.presets import FAMILIES, PRESETS
from kelbo.presets.families import PLURALS


def info(backend: BackendOption = None, json: JsonOption = False) -> None:
    """Show versions, backends, the device, and the known models, parts and data sets.

    Example: [bold]kelbo info[/bold]
    """
    from kelbo.backends.choice import BACKENDS

    start_backend(backend)

    from kelbo.data import BINARIZATIONS, NAMED
    from kelbo.precision import PRECISIONS
    from kelbo.training.environment import describe_environment

    environment = describe_environment()
    backends = {name: _installed(name) for name in BACKENDS}
    known = {
        "models": list(PRESETS),
        **{PLURALS[family]: list(parts) for family, parts in FAMILIES.items()},
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


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
