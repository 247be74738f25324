"""The command line: one file per command, and no framework before a command needs one."""

from kelbo.cli.app import main

__all__ = ["main"]
