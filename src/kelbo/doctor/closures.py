"""What training steps read from outside, gathered for the rules about it."""

from collections.abc import Iterator, Sequence

from kelbo.doctor.program import Program, SymbolicRead


def reads_by_function(program: Program, *kinds: str) -> Iterator[list[SymbolicRead]]:
    """For each function that runs in a step of these kinds: its reads, one for each name."""
    found: dict[object, dict[str, SymbolicRead]] = {}
    for read in program.symbolic_reads:
        if read.step.kind in kinds:
            found.setdefault(read.function, {}).setdefault(read.name, read)
    for reads in found.values():
        yield list(reads.values())


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, in the order of their first mention."""
    *head, last = dict.fromkeys(names)
    return f"{', '.join(head)} and {last}" if head else last
