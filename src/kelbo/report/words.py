"""Numbers, values and names as a reader of the page sees them."""

import re
from itertools import zip_longest
from typing import Any

from markupsafe import Markup, escape


def nats(value: float) -> str:
    """A number of nats with two decimals and a true minus: `−103.41`."""
    return minus(f"{value:,.2f}")


def minus(text: str) -> str:
    """A number as text, with a true minus."""
    return text.replace("-", "−")


def number(value: float) -> str:
    """A number of no particular unit: whole, or with three significant digits."""
    if float(value).is_integer():
        return minus(f"{value:,.0f}")
    return minus(f"{value:,.3g}")


def signed(value: float) -> str:
    """A coordinate with its sign: `−2.5`, `0`, `+2.5`."""
    return minus(f"{value:+.2g}") if value else "0"


def text(value: Any) -> str:
    """A value of the configuration or the environment as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(text(entry) for entry in value)
    return str(value)


def readable(key: str) -> str:
    """A key as words: `active_units` is `active units`."""
    return key.replace("_", " ")


def with_breaks(text: str) -> Markup:
    """A name or a path for the page, which may break behind its separators, not inside a word."""
    parts = re.split(r"(?<=[/\\_])(?=\w)|(?<=[a-z][-.])(?=[a-z])", text)
    return Markup("<wbr>").join(escape(part) for part in parts)


def prose(text: str) -> Markup:
    """A sentence for the page: with a true minus, and no line that ends inside an option."""
    parts = re.split(r"(--[\w-]+)", re.sub(r"(?<![\w-])-(?=\d)", "−", text))
    options = (Markup('<span class="option">{}</span>').format(part) for part in parts[1::2])
    others = map(escape, parts[::2])
    return Markup("").join(
        part for pair in zip_longest(others, options, fillvalue="") for part in pair
    )
