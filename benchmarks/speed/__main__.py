"""Time kelbo and its peers on the same work, and write docs/speed.md.

    python -m benchmarks.speed                       # on a CPU: leave the machine alone
    python -m benchmarks.speed --device gpu
    python -m benchmarks.speed --batch 128 --only kelbo --rounds 3
    python -m benchmarks.speed --page                # only the page, from what is stored

Peers that are not installed are listed as absent; `pip install 'kelbo[all,peers]'` installs them,
on a GPU `pip install 'kelbo[cuda,peers]'`. A contestant that fails is named with the reason; the
others go on.

Every race is stored when it is done, so a command that is broken off loses one race. Finals are
held for races that have none yet. If commands must be short, the GPU's part can be run in pieces:

    python -m benchmarks.speed --device gpu --parts main --batch 128 --rounds 3
    python -m benchmarks.speed --device gpu --parts main --batch 1024 4096
    python -m benchmarks.speed --device gpu --parts iwae colour
    python -m benchmarks.speed --device gpu --parts finals
    python -m benchmarks.speed --device gpu --parts growth
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed.contestants import ENTRIES
from benchmarks.speed.page import final, finalists, is_final, page
from benchmarks.speed.race import PATIENCE, race
from benchmarks.speed.work import Work
from kelbo import files
from kelbo.training.environment import describe_machine

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PAGE = ROOT / "docs" / "speed.md"

# Images in an epoch: some seconds' worth.
MAIN = {
    "cpu": {128: 1_280, 1024: 2_048, 4096: 4_096},
    "gpu": dict.fromkeys((128, 1024, 4096), 60_000),
}
IWAE = {
    "cpu": Work(64, 32, importance_samples=50),
    "gpu": Work(6_400, 128, importance_samples=50),
}
COLOUR = {
    "cpu": Work(64, 32, side=96, channels=3),
    "gpu": Work(6_400, 128, side=96, channels=3),
}
SIDES = (28, 64, 128)
LATENTS = (2, 32, 512)
ROWS = (10_000, 100_000, 1_000_000)
PARTS = ("main", "iwae", "colour", "finals", "growth")
FINALISTS = 3
# A final has longer epochs: the hundredths of a second that `fit` takes around each count less.
LONGER = 4
# The figures of a contestant that did not take part.
NOTHING: dict[str, list[float]] = {"seconds": []}


def growth(device: str) -> dict[str, list[Work]]:
    """The works of each growth curve."""
    rows = {"cpu": 512, "gpu": 20_000}[device]
    # On a CPU an epoch of the convolutional network on a million images takes ten minutes.
    network = {"cpu": "mlp", "gpu": "conv"}[device]
    return {
        "side": [Work(max(128, rows * 28**2 // side**2), 64, side=side) for side in SIDES],
        "latent_dim": [Work(4 * rows, 128, latent_dim=size) for size in LATENTS],
        "rows": [Work(count, 4096, network=network) for count in ROWS],
    }


def measure(
    device: str,
    parts: list[str],
    batches: list[int],
    names: list[str],
    rounds: int,
    patience: float,
    again: bool,
    stored: dict[str, dict],
) -> Iterator[tuple[str, str, Any]]:
    """Run the parts one after the other, and yield each when it is done.

    `stored` has all heats so far. Those without a final have one; all do if `again`.
    """
    precision = {"cpu": "float32", "gpu": "bfloat16"}[device]
    heats: dict[str, Work] = {}
    if "main" in parts:
        for batch in batches:
            heats[f"batch {batch}"] = Work(MAIN[device].get(batch, max(2_560, batch)), batch)
    if "iwae" in parts:
        heats["IWAE, K = 50"] = IWAE[device]
    if "colour" in parts:
        heats["96x96x3"] = COLOUR[device]
    for title, work in heats.items():
        print(title, file=sys.stderr)
        yield (
            "heats",
            title,
            race(replace(work, precision=precision), names, device, rounds, patience),
        )
    if "finals" in parts:
        for title, entry in list(stored.items()):
            if is_final(title) or (final(title) in stored and not again):
                continue
            print(final(title), file=sys.stderr)
            chosen = finalists(entry["result"], FINALISTS)
            work = Work(**entry["result"]["work"])
            work = replace(work, rows=LONGER * work.rows)
            yield "heats", final(title), race(work, chosen, device, 2 * rounds, patience)
    if "growth" in parts:
        kelbos = [name for name in names if name.startswith("kelbo")]
        for curve, works in growth(device).items():
            points = []
            for work in works:
                print(f"growth with {curve}: {getattr(work, curve)}", file=sys.stderr)
                # One after the other: memory is measured for one process on an idle machine.
                work = replace(work, precision=precision)
                done = [race(work, [name], device, 1, patience) for name in kelbos]
                points.append(merged(done))
            yield "growth", curve, points


def merged(races: list[dict]) -> dict:
    """Several races on the same work, merged into one."""
    whole = {"work": races[0]["work"], "contestants": {}, "absent": {}}
    for one in races:
        whole["contestants"] |= one["contestants"]
        whole["absent"] |= one["absent"]
    return whole


def lacks(new: list[dict], stored: list[dict]) -> str:
    """What new races lack that the stored ones have; empty if nothing."""
    if len(new) < len(stored):
        return f"{len(stored) - len(new)} of {len(stored)} points"
    missing = {}
    for ours, theirs in zip(new, stored, strict=False):
        for name, one in theirs["contestants"].items():
            had, has = (len(c["seconds"]) for c in (one, ours["contestants"].get(name, NOTHING)))
            if has < had:
                missing[name] = f"{name} ({has} of {had} rounds)"
    return ", ".join(missing.values())


def store(results: dict[str, dict], kind: str, title: str, outcome: Any, anyway: bool) -> None:
    """Store a result, unless the stored one has more.

    Raises:
        SystemExit: nobody took part.
    """
    races = outcome if isinstance(outcome, list) else [outcome]
    if not any(one["contestants"] for one in races):
        sys.exit(f"{title}: nobody took part, and nothing is stored.")
    old = results[kind].get(title, {"result": []})["result"]
    less = lacks(races, old if isinstance(old, list) else [old])
    if less and not anyway:
        print(f"{title} is not stored, --replace would: it lacks {less}.", file=sys.stderr)
        return
    results[kind].pop(final(title), None)  # it belonged to an earlier race
    date = datetime.now(UTC).isoformat(timespec="seconds")
    results[kind][title] = {"date": date, "machine": describe_machine(), "result": outcome}


def main() -> None:
    """Measure, store, and make the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=list(MAIN), default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", help="default: 128 (GPU: 1024 4096 too)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--only", nargs="+", default=[""], help="contestants, by part of the name")
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds of each race; finals have twice as many"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        help="seconds that a contestant's epoch may take",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="store a race even if it has less than the stored one, and repeat stored finals",
    )
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        names = [
            name
            for name, entry in ENTRIES.items()
            if arguments.device in entry.devices and any(part in name for part in arguments.only)
        ]
        if not names:
            parser.error(f"no contestant is called {arguments.only}: {', '.join(ENTRIES)}")
        if arguments.rounds < 1:
            parser.error("at least one round")
        batches = arguments.batch or ([128] if arguments.device == "cpu" else [128, 1024, 4096])
        started = time.perf_counter()
        mine = results.setdefault(arguments.device, {"heats": {}, "growth": {}})
        for kind, title, outcome in measure(
            arguments.device,
            arguments.parts,
            batches,
            names,
            arguments.rounds,
            arguments.patience,
            arguments.replace,
            mine["heats"],
        ):
            store(mine, kind, title, outcome, arguments.replace)
            files.write_text(RESULTS, json.dumps(results, indent=1) + "\n")
        print(f"{(time.perf_counter() - started) / 60:.1f} minutes", file=sys.stderr)
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
