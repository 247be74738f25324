"""`--image-size 64`: one number for a square, or two for height and width."""

from typing import Any

from typer.core import TyperCommand

from kelbo.errors import UsageError


class TakesImageSize(TyperCommand):
    """A command whose `--image-size` takes one number for a square, or two."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Click's, which wants a fixed number of values."""
        return super().parse_args(ctx, _with_two_sides(args))


def _with_two_sides(arguments: list[str]) -> list[str]:
    """Command-line arguments in which a lone number after `--image-size` stands twice.

    Raises:
        UsageError: what stands there is no number.
    """
    flag = "--image-size"
    written: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        written += [name, value] if equals and name == flag else [argument]
    for place in reversed([i for i, argument in enumerate(written) if argument == flag]):
        height, *width = written[place + 1 : place + 3] or [""]
        if not height.isdigit():
            raise UsageError(
                f"Expected {flag} with one number for a square or with height and width, as "
                f"{flag} 64 or {flag} 64 48, received {height!r}."
            )
        if not (width and width[0].isdigit()):
            written.insert(place + 1, height)
    return written
