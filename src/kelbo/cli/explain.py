"""`kelbo explain`: what an error message means, and the way out."""

import sys
import textwrap
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kelbo.cli.console import JsonOption, print_json, show_code
from kelbo.errors import UnexplainedError, UsageError

if TYPE_CHECKING:
    from kelbo.clinic.explain import Explanation

_WIDTH = 80
_CHUNK = 64 * 1024
_FROM_STDIN = ["-"]

MessageArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MESSAGE",
        help="An error message; - or nothing to read a traceback or a log from stdin.",
        show_default=False,
    ),
]


def explain(message: MessageArgument = None, json: JsonOption = False) -> None:
    """Say what an error of a VAE script means, why it happens, and how to repair it.

    It knows the errors of Keras 2 and 3, from symbolic tensors in a loss to NaN.

    Example: [bold]kelbo explain "No loss to compute. Provide a loss argument"[/bold], or
    [bold]python train.py 2>&1 | kelbo explain -[/bold]
    """
    from kelbo.clinic.explain import explain as find

    text = _read_stdin() if message in (None, [], _FROM_STDIN) else " ".join(message or ())
    found = find(text)
    if json:
        print_json({"explanations": [explanation_as_json(explanation) for explanation in found]})
    if not found:
        raise UnexplainedError(unexplained(text))
    if not json:
        show_explanations(found, Console(highlight=False))


def _read_stdin() -> str:
    """The end of stdin, however long it is."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "Expected an error message, received none. Paste it in quotes, as in "
            'kelbo explain "No loss to compute", or pipe it: '
            "python train.py 2>&1 | kelbo explain -"
        )
    from kelbo.clinic.explain.evidence import LIMIT

    stream = getattr(sys.stdin, "buffer", sys.stdin)
    # A character has at most four bytes.
    last: deque[Any] = deque(maxlen=4 * LIMIT // _CHUNK + 1)
    while chunk := stream.read(_CHUNK):
        last.append(chunk)
    if last and isinstance(last[0], str):
        return "".join(last)
    return b"".join(last).decode("utf-8", errors="replace")


def unexplained(text: str) -> str:
    """What to say about a text that no explanation fits."""
    from kelbo.clinic.explain import FAMILIES

    families = "; ".join(title for title in FAMILIES.values())
    hint = "Paste the whole traceback: its last line says most, and its other lines say where."
    if not text.strip():
        hint = "Nothing arrived."
    elif len(text) < 256 and _is_file(text):
        hint = f"This is the name of a file. To explain what it says: kelbo explain - < {text}"
    return f"No explanation is known for this. {hint}\nKnown: {families}."


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def explanation_as_json(explanation: "Explanation") -> dict[str, Any]:
    """All of an explanation as JSON, for other programs."""
    from kelbo.clinic.explain import FAMILIES

    return {
        "name": explanation.name,
        "family": explanation.family,
        "family_title": FAMILIES[explanation.family],
        "title": explanation.title,
        "happens": explanation.happens,
        "generations": dict(explanation.generations),
        "why": explanation.why,
        "rule": explanation.rule,
        "repair": explanation.repair,
        "broken": explanation.broken,
        "repaired": explanation.repaired,
        "recipe": explanation.recipe,
        "see": explanation.commands,
        "rules": _rules(explanation),
        "symptom": explanation.symptom.message,
        "printed_by": explanation.symptom.printed_by,
        "sources": list(explanation.sources),
    }


def _rules(explanation: "Explanation") -> list[str]:
    """The codes of the doctor's rules that find the same fault in a script."""
    from kelbo.clinic.doctor import all_rules

    return [rule.code for rule in all_rules() if rule.explanation == explanation.name]


def show_explanations(explanations: Sequence["Explanation"], console: Console) -> None:
    """Print explanations, the best first: in colours on a terminal, plain elsewhere."""
    for number, explanation in enumerate(explanations):
        if number:
            console.print()
        _show(explanation, console)


def _show(explanation: "Explanation", console: Console) -> None:
    from kelbo.clinic.explain import FAMILIES

    width = min(console.width, _WIDTH)

    def print_text(text: str, indent: int, style: str = "") -> None:
        lines = textwrap.fill(
            text,
            width,
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        console.print(Text(lines, style), soft_wrap=True)

    def head(text: str) -> None:
        console.print()
        print_text(text, 0, "bold cyan")

    print_text(explanation.title, 0, "bold")
    print_text(f"{explanation.family}. {FAMILIES[explanation.family]}", 0, "dim")
    head("What happens")
    print_text(explanation.happens, 2)
    for generation, what in explanation.generations:
        print_text(f"{generation}: {what}", 4)
    head("Why")
    print_text(explanation.why, 2)
    head("The rule")
    print_text(explanation.rule, 2)
    head("Repair")
    print_text(explanation.repair, 2)
    for label, code in (("Broken", explanation.broken), ("Repaired", explanation.repaired)):
        if code:
            console.print()
            print_text(f"{label}:", 2, "dim")
            show_code(code, console)
    codes = _rules(explanation)
    if explanation.commands or codes:
        head("See")
        for command in explanation.commands:
            console.print(Text(f"  {command}"), soft_wrap=True)
        if codes:
            line = f"  kelbo doctor YOUR_SCRIPT.py  # {', '.join(codes)} shows the place"
            console.print(Text(line), soft_wrap=True)
    if explanation.sources:
        console.print()
        print_text(f"Reported as: {', '.join(explanation.sources)}", 0, "dim")
