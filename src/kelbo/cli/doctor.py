"""`kelbo doctor`: what is wrong with a VAE script, and the way out."""

import enum
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from kelbo.cli.console import BackendOption, option_of, print_json, say, show_code
from kelbo.cli.explain import explanation_as_json, show_explanations, unexplained
from kelbo.errors import UsageError

if TYPE_CHECKING:
    from kelbo.clinic.doctor import Finding, Message, Rule, Skipped, Source
    from kelbo.clinic.explain import Explanation

_WIDTH = 88
_STDIN = "-"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_A_MODEL = "A model instead of scripts"


class Format(enum.StrEnum):
    """The format of the findings."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH...",
        help="Scripts, notebooks and folders, or a text with a traceback; - to read stdin.",
        show_default=False,
    ),
]
ExplainOption = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Explain a rule, such as KLB101, or every rule: all."),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(metavar="CODES", help="Only these rules: codes or prefixes, such as KLB1,KLB204."),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option(metavar="CODES", help="All rules but these.")
]
FormatOption = Annotated[Format, option_of(Format, "format", help="How findings are written.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.keras",
        help="Examine a trained VAE, kelbo's or another, instead of scripts; with --data.",
        show_default=False,
        rich_help_panel=_A_MODEL,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="The data to examine the model with: as in kelbo train.",
        show_default=False,
        rich_help_panel=_A_MODEL,
    ),
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=LAYER",
        help="Which layer is mu, log_var (or log_sigma, sigma, var), encoder, decoder or z, if the "
        "file does not show it; one option for each.",
        show_default=False,
        rich_help_panel=_A_MODEL,
    ),
]


def doctor(
    paths: PathsArgument = None,
    explain: ExplainOption = None,
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    format: FormatOption = Format.TEXT,
    json: JsonOption = False,
    model: ModelOption = None,
    data: DataOption = None,
    role: RoleOption = None,
    backend: BackendOption = None,
) -> None:
    """Read VAE scripts and say what is wrong with them, without running them.

    A traceback, from stdin or in a text file, is explained as by [bold]kelbo explain[/bold].
    With --model and --data it examines a trained model instead.

    Exits with 1 on an error, on a traceback and if nothing could be read, else with 0.

    A comment [bold]# noqa: KLB101[/bold] turns a rule off on its line.

    Example: [bold]kelbo doctor train.py notebooks/[/bold], or
    [bold]kelbo doctor --explain KLB101[/bold], or
    [bold]kelbo doctor --model runs/first/model.keras --data mnist[/bold]
    """
    if model is not None or data is not None or role:
        if model is None or data is None or paths or explain or select or ignore:
            raise UsageError(
                "To examine a model, give --model and --data together, and no scripts or rules: "
                "kelbo doctor --model runs/first/model.keras --data mnist"
            )
        from kelbo.cli.diagnose import diagnose_model

        as_json = json or format is Format.JSON
        diagnose_model(model, data, _roles(role), as_json=as_json, backend=backend)
        return
    from kelbo.clinic import doctor as reader

    rules = reader.select(_codes(select), _codes(ignore))
    if explain is not None:
        wanted = reader.select(() if explain.lower() == "all" else (explain,))
        console = Console(highlight=False)
        for number, rule in enumerate(wanted):
            if number:
                console.print()
            _explain(rule, console)
        return
    if not paths:
        raise UsageError(
            "Expected a script, a notebook or a folder, received none: kelbo doctor train.py"
        )
    report = _Report(Format.JSON if json else format, rules)
    try:
        for source in _sources(paths):
            report.tell(source)
        report.end()
    except (BrokenPipeError, SystemExit):
        # Nobody reads the output any more; the exit code still says what was found.
        if not report.has_errors:
            raise
    if report.has_errors:
        raise typer.Exit(1)


class _Report:
    """What is printed for the sources, in one format.

    Args:
        format: the format.
        rules: the rules that examine the sources.
    """

    def __init__(self, format: Format, rules: "Sequence[Rule]"):
        self._format = format
        self._rules = rules
        self._console = Console(highlight=False)
        self._findings: list[tuple[str, Finding]] = []
        self._explanations: list[tuple[str, Explanation]] = []
        self._skipped: list[Skipped] = []
        self._files = 0
        self._without_keras: list[str] = []
        self._messages = 0

    @property
    def has_errors(self) -> bool:
        """Whether an error was found, or nothing was read that could have one."""
        severe = any(finding.rule.severity == "error" for _, finding in self._findings)
        return severe or bool(self._messages) or not self._files

    def tell(self, source: "Source | Skipped") -> None:
        """Report on a source at once, unless the format needs all sources together."""
        from kelbo.clinic.doctor import Message, Skipped, examine
        from kelbo.clinic.doctor.collector import without_collector

        self._messages += isinstance(source, Message)
        if isinstance(source, Message) and self._format in (Format.TEXT, Format.JSON):
            self._explain(source)
        elif isinstance(source, Skipped):
            self._skip(source)
        else:
            for skipped in source.skipped:
                self._skip(skipped)
            self._files += 1
            if not source.is_of_keras:
                self._without_keras.append(source.path)
            told: set[str] = set()
            with without_collector():
                findings = examine(source, self._rules)
            for finding in findings:
                self._findings.append((source.path, finding))
                if self._format is Format.TEXT:
                    in_full = finding.rule.code not in told
                    _show(source, finding, self._console, in_full)
                    told.add(finding.rule.code)
                elif self._format is Format.GITHUB:
                    from kelbo.clinic.doctor.formats import as_github

                    print(as_github(source.path, finding))

    def end(self) -> None:
        """Report what can only be said after all sources."""
        from kelbo.clinic.doctor.formats import unexamined

        note = unexamined(self._without_keras, self._files)
        if self._format is Format.TEXT and (self._files or not self._explanations):
            _sum_up(self._findings, self._files, self._console)
            if note:
                self._console.print(Text(note, "dim"), soft_wrap=True)
        elif self._format is Format.JSON:
            from kelbo.clinic.doctor.formats import as_json

            explained = [
                {"path": path, **explanation_as_json(explanation)}
                for path, explanation in self._explanations
            ]
            whole = as_json(self._findings, self._skipped, self._files, self._without_keras)
            print_json({**whole, "explanations": explained})
        elif self._format is Format.SARIF:
            from kelbo.clinic.doctor.formats import as_sarif

            print_json(as_sarif(self._findings, self._skipped, self._rules, note))
        elif self._format is Format.GITHUB and note:
            from kelbo.clinic.doctor.formats import as_github_notice

            print(as_github_notice(note))

    def _explain(self, message: "Message") -> None:
        from kelbo.clinic.doctor import Skipped
        from kelbo.clinic.explain import explain

        explanations = explain(message.text)
        if not explanations:
            self._skip(Skipped(message.path, unexplained(message.text)))
            return
        self._explanations += [(message.path, explanation) for explanation in explanations]
        if self._format is Format.TEXT:
            self._console.print(Text(message.path, "bold"), soft_wrap=True)
            self._console.print()
            show_explanations(explanations, self._console)
            self._console.print()

    def _skip(self, skipped: "Skipped") -> None:
        say(f"{skipped.path} is skipped: {skipped.reason}", style="yellow")
        self._skipped.append(skipped)


def _roles(given: list[str] | None) -> dict[str, str]:
    """The layer that is given for each role."""
    roles: dict[str, str] = {}
    for text in given or ():
        role, is_named, layer = text.partition("=")
        if not is_named:
            raise UsageError(
                f"Expected a role and a layer, such as --role mu=dense_3, received {text}."
            )
        if role in roles:
            raise UsageError(
                f"Expected one layer for each role, received {roles[role]!r} and {layer!r} for "
                f"{role}."
            )
        roles[role] = layer
    return roles


def _codes(given: list[str] | None) -> list[str]:
    """Codes that are given one by one, or separated by commas."""
    codes = [code for text in given or () for code in text.replace(",", " ").split()]
    if given and not codes:
        raise UsageError("Expected codes of rules, such as KLB1,KLB204, received none.")
    return codes


def _sources(paths: list[str]) -> Iterator["Source | Skipped"]:
    """What can be read at the paths, and what cannot, one after the other."""
    from kelbo.clinic import doctor as reader

    for path in paths:
        if path != _STDIN and not os.path.lexists(path):
            raise UsageError(f"There is no file or folder {path}.")
    for found in reader.find(path for path in paths if path != _STDIN):
        yield reader.load(found) if isinstance(found, str) else found
    if _STDIN in paths:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("Expected a script from stdin, as in: kelbo doctor - < train.py")
        yield reader.read_stream(getattr(sys.stdin, "buffer", sys.stdin))


def _show(source: "Source", finding: "Finding", console: Console, in_full: bool) -> None:
    """Print one finding: its place and title, the line itself, the paragraph, where to read more.

    What Keras does, why, and where to read more are printed only if `in_full`.
    """
    from kelbo.clinic.doctor.formats import location

    place, rule = finding.place, finding.rule
    colour = "red" if rule.severity == "error" else "yellow"
    head = Text.assemble(
        (location(source.path, finding), "bold"),
        " ",
        (rule.code, f"bold {colour}"),
        " ",
        (rule.title, "bold"),
        ("" if rule.severity == "error" else " (warning)", "dim"),
    )
    console.print(head, soft_wrap=True)
    if console.is_terminal and place is not None:
        line = source.line(finding.node)
        console.print(Text.assemble(("  │ ", "dim"), line), soft_wrap=True)
        length = place.end_column - place.column if place.end_line == place.line else 1
        marks = " " * (place.column - 1) + "^" * max(1, min(length, len(line)))
        console.print(Text.assemble(("  │ ", "dim"), (marks, colour)), soft_wrap=True)
    width = min(console.width, _WIDTH)
    if in_full:
        _print_filled(finding.text, width, console)
        # Lines break between commands, not within one.
        see = (place.replace(" ", _NO_BREAK) for place in rule.see)
        _print_filled("See: " + "; ".join(see), width, console, "dim")
    else:
        _print_filled(f"{finding.happens} {finding.repair}", width, console)
    console.print()


def _print_filled(text: str, width: int, console: Console, style: str = "") -> None:
    lines = textwrap.fill(
        text,
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text(lines.replace(_NO_BREAK, " "), style), soft_wrap=True)


def _sum_up(findings: "list[tuple[str, Finding]]", files: int, console: Console) -> None:
    errors = sum(finding.rule.severity == "error" for _, finding in findings)
    warnings = len(findings) - errors
    read = _count(files, "file")
    if not findings:
        console.print(Text(f"Nothing found in {read}.", "green"))
        return
    counts = [_count(n, kind) for n, kind in ((errors, "error"), (warnings, "warning")) if n]
    damaged = len({path for path, _ in findings})
    console.print(Text(f"{' and '.join(counts)} in {damaged} of {read}.", "bold"))


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _explain(rule: "Rule", console: Console) -> None:
    """Print the docstring of a rule: in colours on a terminal, plain elsewhere."""
    console.print(Text.assemble((rule.code, "bold cyan"), " ", (rule.title, "bold")))
    console.print(Text(str(rule.severity), "dim"))
    for head, text in rule.sections().items():
        console.print()
        console.print(Text(head, "bold cyan"))
        if text.startswith("```"):
            code = "\n".join(text.splitlines()[1:-1])
            show_code(code, console)
        else:
            for paragraph in text.split("\n\n"):
                _print_filled(" ".join(paragraph.split()), min(console.width, _WIDTH), console)
    if rule.generations:
        console.print()
        console.print(Text("On which Keras", "bold cyan"))
        for keras, what in rule.generations:
            _print_filled(f"{keras}: {what}", min(console.width, _WIDTH), console)
    console.print()
    console.print(Text("See", "bold cyan"))
    for place in rule.see[1:] or ["docs/doctor.md"]:
        console.print(Text(f"  {place}"), soft_wrap=True)
