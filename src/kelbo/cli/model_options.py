"""The options of a model at the command line: `--set NAME=VALUE`, and flags for some of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from kelbo.errors import UsageError
from kelbo.presets import FAMILIES, PRESETS, Design

# How many names the help lists.
_NAMED = 5
# Options that have a flag of their own.
FLAGS = ("beta", "warmup_epochs", "importance_samples")


def flag(name: str, panel: str) -> Any:
    """The option `--NAME VALUE`: a spelling of `--set NAME=VALUE`.

    Args:
        name: of the option, in `FLAGS`.
        panel: of the help.
    """
    declared = next(
        one
        for parts in FAMILIES.values()
        for part in parts.values()
        for one in part.options
        if one.name == name
    )
    own = [f"{one.name} {one.defaults[name]:g}" for one in PRESETS.values() if name in one.defaults]
    return typer.Option(
        metavar="VALUE",
        help=f"{declared.meaning} As --set {name}=VALUE.",
        show_default=", ".join([f"{declared.default:g}", *own]),
        rich_help_panel=panel,
    )


def part(family: str, panel: str) -> Any:
    """The option `--FAMILY NAME`, which chooses a part of the model.

    Args:
        family: "prior", for example.
        panel: of the help.
    """
    names = list(FAMILIES[family])
    return typer.Option(
        metavar="NAME",
        help=f"{some(names)}: see kelbo models parts {family}.",
        show_default=names[0],
        rich_help_panel=panel,
    )


def some(names: Sequence[str]) -> str:
    """The first names of many, and how many there are besides."""
    rest = len(names) - _NAMED
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:_NAMED])} and {rest} more"


def read_options(
    model: str, parts: Mapping[str, str | None], settings: list[str], flags: Mapping[str, Any]
) -> dict[str, Any]:
    """The model's options of the command line, from `--set` and from flags of their own.

    Args:
        model: its name.
        parts: names of parts by family; the model's own where None.
        settings: each `NAME=VALUE` or `FAMILY.NAME=VALUE`.
        flags: the parameters of the command by name; others than options are passed over.

    Raises:
        UsageError: there is no such model, part or option, a value is none for it, or one is set
            twice.
    """
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"Expected --set NAME=VALUE, as --set beta=4, received {setting!r}.")
        if name in texts:
            raise UsageError(f"--set {name}=... is there twice. Leave one of them out.")
        texts[name] = text
    for name in FLAGS:
        if flags.get(name) is not None:
            if name in texts:
                raise UsageError(
                    f"{name} is set twice, with --set and with --{name.replace('_', '-')}. Leave "
                    "one of them out."
                )
            texts[name] = flags[name]
    design = Design.of(model, parts)
    values = {name: design.option(name).parse(text) for name, text in texts.items()}
    checked = design.checked(values)
    return {design.spelled(*key): value for key, value in checked.items()}
