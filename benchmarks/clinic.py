"""Time the doctor over the installed sources of keras and tf_keras, and say where the time goes.

    python -m benchmarks.clinic
    python -m benchmarks.clinic --page

Every file is read and examined in one process, round after round; the figure is the fastest round,
since whatever else the machine does can only slow one down. A further round runs under Python's
profiler. The result is benchmarks/results/clinic.json, from which docs/clinic-speed.md is made.
"""

import argparse
import cProfile
import importlib.util
import json
import os
import pstats
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.device import peak_memory
from kelbo import files
from kelbo.clinic.doctor import Source, examine, load
from kelbo.clinic.doctor.collector import without_collector
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "clinic.json"
PAGE = Path(__file__).parent.parent / "docs" / "clinic-speed.md"
PACKAGES = ("keras", "tf_keras")
# The parts of an examination, by the function of kelbo.clinic.doctor that does it.
PARTS = {
    "read the files and parse them": ("source.py", "load"),
    "follow the scripts": ("interpreter.py", "read"),
    "all of it": ("clinic.py", "examine_all"),
}


def sources(package: str) -> list[Path]:
    """The Python files of an installed package."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"Expected {package} to be installed: make .venv/.dev installs it.")
    return sorted(Path(found.origin).parent.rglob("*.py"))


def examine_all(paths: Sequence[Path]) -> int:
    """Examine files as the command does; the number of findings."""
    count = 0
    for path in paths:
        source = load(str(path))
        if isinstance(source, Source):
            with without_collector():
                count += len(examine(source))
    return count


def measure(rounds: int) -> dict:
    """The seconds of each round, and the share of each part under the profiler."""
    paths = {package: sources(package) for package in PACKAGES}
    every = [path for found in paths.values() for path in found]
    spent: dict[str, list[float]] = {"seconds": [], "processor_seconds": []}
    for _ in range(rounds):
        start, processor = time.perf_counter(), time.process_time()
        findings = examine_all(every)
        spent["seconds"].append(time.perf_counter() - start)
        spent["processor_seconds"].append(time.process_time() - processor)
        print(f"{len(every) / spent['seconds'][-1]:,.0f} files/s, load {os.getloadavg()[0]:.1f}")
    profile = cProfile.Profile()
    profile.runcall(examine_all, every)
    return {
        "files": {package: len(found) for package, found in paths.items()},
        "findings": findings,
        "rounds": rounds,
        **{clock: min(values) for clock, values in spent.items()},
        "load": os.getloadavg()[0],
        "shares": shares(pstats.Stats(profile)),
        "peak_memory": peak_memory(),
        "environment": describe_environment(),
    }


def shares(stats: pstats.Stats) -> dict[str, float]:
    """The share of the time of each part, under the profiler."""
    spent = {
        part: sum(
            cumulative
            for (file, _, name), (*_, cumulative, _) in stats.stats.items()  # type: ignore
            if name == function and Path(file).name == module
        )
        for part, (module, function) in PARTS.items()
    }
    whole = spent.pop("all of it")
    spent["apply the rules"] = whole - sum(spent.values())
    return {part: seconds / whole for part, seconds in spent.items()}


def page(result: dict) -> str:
    """The page docs/clinic-speed.md."""
    on = result["environment"]
    count = sum(result["files"].values())
    packages = " and ".join(f"{n:,} of {package}" for package, n in result["files"].items())
    lines = [
        "# Speed of the doctor",
        "",
        "`kelbo doctor` over the installed sources of Keras 3 and Keras 2, in one process on one",
        f"core. The figure is the fastest of {result['rounds']} rounds. The parts are those of",
        "a round under Python's profiler.",
        "",
        "| | |",
        "|---|---|",
        f"| files | {packages} |",
        f"| seconds | {result['seconds']:.1f} ({result['processor_seconds']:.1f} of a processor) |",
        f"| files a second | {count / result['seconds']:,.0f} "
        f"({count / result['processor_seconds']:,.0f} a second of a processor) |",
    ]
    lines += [f"| to {part} | {share:.0%} |" for part, share in result["shares"].items()]
    lines += [
        f"| peak memory | {result['peak_memory'] / 1e6:,.0f} MB |",
        f"| measured | {on['date'][:10]}, Python {on['python']}, Keras {on['keras']}, "
        f"{on['cpu_count']} cores of {on['processor']}, load {result['load']:.1f} |",
        "",
        "The load counts the programs that want a processor, this one included: where it is",
        "above 1, other programs ran beside this one.",
        "",
        "Made by `python -m benchmarks.clinic` from benchmarks/results/clinic.json.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    if not arguments.page:
        files.write_text(RESULTS, json.dumps(measure(arguments.rounds), indent=2) + "\n")
    files.write_text(PAGE, page(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
