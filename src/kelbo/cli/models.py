"""`kelbo models`: the named models, the parts that they are made of, and how each is written."""

from typing import Annotated, Any

import typer
from rich.console import Console

from kelbo.cli.console import JsonOption, print_facts, print_json, show_code
from kelbo.errors import unknown_name
from kelbo.presets import FAMILIES, PRESETS, Design, Option, Part
from kelbo.presets.code import code
from kelbo.presets.families import PLURALS, TERMS

# The width of a title below a model's name.
_TITLES = 12

models = typer.Typer(
    help="List the named models, show one, and list the parts that they are made of.",
    rich_markup_mode="rich",
)


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, json: JsonOption = False) -> None:
    """List the named models, each with the part that it changes, its paper and its options.

    Example: [bold]kelbo models[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    designs = {name: Design.of(name) for name in PRESETS}
    if json:
        print_json({"models": {name: _model(design) for name, design in designs.items()}})
        return
    for name, design in designs.items():
        family = design.preset.changes or "objective"
        own = [
            _assigned(design, owner, one, value)
            for owner, one, value in design.options()
            if owner == family
        ]
        rows = [(family, design.parts[family].maths), ("paper", design.preset.paper)]
        rows += [("options", ", ".join(own))] if own else []
        print(name)
        print_facts([(f"  {title}", text) for title, text in rows], _TITLES)


@models.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the model.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Show a model: its equation, its options, and the Python that makes it.

    Example: [bold]kelbo models show beta-vae[/bold]
    """
    design = Design.of(name)
    if json:
        print_json({**_model(design), "python": code(design)})
        return
    rows = [(name, design.preset.paper)]
    rows += [(TERMS[family], part.maths) for family, part in design.parts.items()]
    for family, one, value in design.options():
        rows.append((f"  --set {_assigned(design, family, one, value)}", one.meaning))
    print_facts(rows)
    print()
    show_code(code(design), Console(highlight=False))


@models.command()
def parts(
    family: Annotated[
        str | None,
        typer.Argument(metavar=f"[{'|'.join(FAMILIES)}]", help="One kind.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the parts: any network, likelihood, posterior, prior and objective go together.

    Example: [bold]kelbo models parts prior[/bold]
    """
    if family is not None and family not in FAMILIES:
        raise unknown_name("kind of part", family, FAMILIES)
    chosen = {one: known for one, known in FAMILIES.items() if family in (None, one)}
    if json:
        print_json(
            {
                PLURALS[one]: {name: _part(part) for name, part in known.items()}
                for one, known in chosen.items()
            }
        )
        return
    for one, known in chosen.items():
        rows: list[tuple[str, str]] = []
        for name, part in known.items():
            rows.append((f"--{one} {name}", part.maths))
            rows += [("", part.paper)] if part.paper else []
            rows += [(f"  --set {one}.{each}", each.meaning) for each in part.options]
        print_facts(rows)


def _assigned(design: Design, family: str, option: Option, value: Any) -> str:
    """NAME=VALUE as the user of the model would type it."""
    text = value if isinstance(value, str) else f"{value:g}"
    return f"{design.spelled(family, option.name)}={text}"


def _model(design: Design) -> dict[str, Any]:
    return {
        "paper": design.preset.paper,
        "changes": design.preset.changes,
        "parts": {family: part.name for family, part in design.parts.items()},
        "options": {
            design.spelled(family, one.name): {**_option(one), "default": value}
            for family, one, value in design.options()
        },
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "maths": part.maths,
        "paper": part.paper,
        "python": part.python,
        "options": {one.name: _option(one) for one in part.options},
        "refuses": dict(part.refuses),
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "kind": option.kind.__name__,
        "default": option.default,
        "minimum": _finite(option.minimum),
        "maximum": _finite(option.maximum),
        "choices": list(option.choices),
        "meaning": option.meaning,
    }


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None
