"""How much memory there is, asked before much of it is taken. Imports no framework."""

import os
from pathlib import Path

from kelbo.errors import UsageError

# What a container may use, in bytes or the word max: cgroups of version 2, then of version 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory() -> int | None:
    """The bytes of the machine, or of the container; None where the system does not say it."""
    found = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in map(Path, _LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found, default=None)


def check_memory(needed: int, what: str, cure: str) -> None:
    """Refuse what cannot fit into memory, before any of it is allocated.

    Args:
        needed: bytes.
        what: that needs them, as a subject.
        cure: what to do instead.

    Raises:
        UsageError: there are fewer bytes on this machine.
    """
    total = total_memory()
    if total is not None and needed > total:
        raise UsageError(
            f"{what} would need {needed / 1e9:,.1f} GB of memory, and this machine has "
            f"{total / 1e9:,.1f} GB. {cure}"
        )
