"""The strings that a script puts together, most often the names of files.

What is asked of a name is how it ends. A path of pathlib is the string that it stands for.
"""

import ast
import re
import string
from collections.abc import Sequence

from kelbo.clinic.doctor.values import UNKNOWN, Arguments, Constant, Text, Value

# No string is longer.
_LONGEST = 1000
_PERCENT = re.compile(r"%(\(\w*\))?[-#0 +]*[\d*]*(\.[\d*]+)?[a-zA-Z%]")
JOINS = ("os.path.join", "posixpath.join")
PATHS = ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath")
# What gives the name of the same file, or of one with the same ending.
SAME = (
    "builtins.str",
    "os.fspath",
    "os.fsdecode",
    "os.path.abspath",
    "os.path.expanduser",
    "os.path.expandvars",
    "os.path.normpath",
    "os.path.realpath",
)
SAME_METHODS = ("absolute", "as_posix", "expanduser", "resolve")


def ending(value: Value | None) -> str | None:
    """The end of a string, all of it if that is known; None if its end is not known."""
    if isinstance(value, Text):
        return value.end
    return value.value if isinstance(value, Constant) and isinstance(value.value, str) else None


def written(value: Value) -> Value:
    """What str makes of a value."""
    return Constant(str(value.value)) if isinstance(value, Constant) else _or_unknown(value)


def added(parts: Sequence[Value], between: str = "") -> Value:
    """Several strings as one.

    Args:
        parts: the strings.
        between: what stands between two of them.
    """
    known: list[str] = []
    for part in reversed(parts):
        end = ending(part)
        if end is None:
            whole = between + between.join(known)
            return Text(whole) if known and any(known) else UNKNOWN
        known.insert(0, end)
        if isinstance(part, Text):
            return _short(Text(between.join(known)))
    return _short(Constant(between.join(known)))


def operated(sign: ast.operator, left: Value, right: Value) -> Value | None:
    """What an operator makes of a string and another value; None if it makes no string."""
    if isinstance(sign, ast.Add) and ending(right) is not None:
        return added([left, right])
    if isinstance(sign, ast.Add) and ending(left) is not None:
        return UNKNOWN
    if isinstance(sign, ast.Div) and ending(right) is not None:
        return joined([left, right])
    if isinstance(sign, ast.Mod) and (end := ending(left)) is not None:
        return _after(end, [match.end() for match in _PERCENT.finditer(end)], left)
    return None


def joined(parts: Sequence[Value]) -> Value:
    """Several parts of a path as one."""
    # An absolute part makes those before it count no more.
    return added(parts, "/")


def of_library(name: str, arguments: Arguments) -> Value | None:
    """The string or the path that a function returns; None if it returns none."""
    if name in JOINS or name in PATHS:
        return joined(arguments.positional) if arguments.positional else UNKNOWN
    if name in SAME and len(arguments.positional) == 1:
        return written(arguments.positional[0])
    return None


def of_method(owner: Value, name: str, arguments: Arguments) -> Value | None:
    """The string or the path that a method of one returns; None if it returns none."""
    given = arguments.positional
    if name == "joinpath" and given:
        return joined([owner, *given])
    if name in ("with_name", "with_suffix") and len(given) == 1 and ending(given[0]) is not None:
        return added([UNKNOWN, given[0]])
    end = ending(owner)
    if end is None:
        return None
    if name == "format":
        try:
            parts = list(string.Formatter().parse(end))
        except ValueError:
            return UNKNOWN
        known = ""
        for literal, field, _, _ in reversed(parts):
            if field is not None:
                return Text(known) if known else UNKNOWN
            known = literal + known
        return Constant(known) if isinstance(owner, Constant) else Text(known)
    return owner if name in SAME_METHODS else None


def _after(text: str, places: Sequence[int], otherwise: Value) -> Value:
    """What follows the last of some places in a string."""
    rest = text[places[-1] :] if places else ""
    return (Text(rest) if rest else UNKNOWN) if places else otherwise


def _or_unknown(value: Value) -> Value:
    return value if isinstance(value, Text) else UNKNOWN


def _short(value: Constant | Text) -> Value:
    return value if len(ending(value) or "") <= _LONGEST else UNKNOWN
