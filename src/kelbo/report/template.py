"""The templates of the pages."""

from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from kelbo.report.words import prose, with_breaks


def template(name: str) -> Template:
    """A template of this folder; what it is filled with is text, never HTML."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breaks": with_breaks, "prose": prose}
    return environment.get_template(name)


def _source(name: str) -> str:
    return resources.files("kelbo.report").joinpath(name).read_text(encoding="utf-8")
