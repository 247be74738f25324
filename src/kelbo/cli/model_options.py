"""The options of a model at the command line: `--set NAME=VALUE`, and flags for some of them."""

from typing import Any

import typer

from kelbo.errors import UsageError
from kelbo.presets import OPTIONS, PRESETS, option


def flag(name: str, panel: str) -> Any:
    """The option `--NAME VALUE`: a spelling of `--set NAME=VALUE`, as the models declare it.

    Args:
        name: of the option.
        panel: of the help.
    """
    declared = {
        preset.name: one
        for preset in PRESETS.values()
        for one in preset.options
        if one.name == name
    }
    models, defaults = ", ".join(declared), {one.default for one in declared.values()}
    by_model = ", ".join(f"{model} {one.default:g}" for model, one in declared.items())
    return typer.Option(
        metavar="VALUE",
        help=f"{next(iter(declared.values())).meaning} Of {models}; as --set {name}=VALUE.",
        show_default=by_model if len(defaults) > 1 else f"{defaults.pop():g}",
        rich_help_panel=panel,
    )


def read_options(model: str, settings: list[str], flags: dict[str, Any]) -> dict[str, Any]:
    """The model's options of the command line, from `--set` and from flags of their own.

    Args:
        model: its name.
        settings: each `NAME=VALUE`.
        flags: the parameters of the command by name; others than options are passed over.

    Raises:
        UsageError: there is no such model or option, a value is none for it, or one is set twice.
    """
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"Expected --set NAME=VALUE, as --set beta=4, received {setting!r}.")
        if name in texts:
            raise UsageError(f"--set {name}=... is there twice. Leave one of them out.")
        texts[name] = text
    for name, text in flags.items():
        if name in OPTIONS and text is not None:
            if name in texts:
                raise UsageError(
                    f"{name} is set twice, with --set and with --{name.replace('_', '-')}. Leave "
                    "one of them out."
                )
            texts[name] = text
    return {name: option(model, name).parse(text) for name, text in texts.items()}
