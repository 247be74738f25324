"""`kelbo report`: the report of a run, from its files alone."""

from kelbo.cli.console import RunArgument
from kelbo.runs import RunDirectory


def report(run: RunArgument) -> None:
    """Write the pictures and report.html of a run again, from what the run has stored.

    Example: [bold]kelbo report runs/first[/bold]
    """
    from kelbo.report import write_report

    print(write_report(RunDirectory.open(run)))
