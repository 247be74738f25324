"""Makes docs/speed.md from the results."""

import statistics
from typing import Any

INTRODUCTION = """# Speed

Training images per second of kelbo and its peers on the same work: the article's network
(492,577 parameters on 28x28x1), MNIST, Adam. All contestants start from the same weights and
minimise the same loss. In each round every contestant, in turn, trains two epochs, of which the
second is timed; the figure is the median of the rounds after a warm-up round, with the slowest and
the fastest. *vs kelbo* is the median, over the rounds, of a contestant's speed divided by that of
kelbo's fastest backend here. *CPU* is the processor time of an image, which other programs on the
machine disturb less. *Loss* is the last epoch's, in nats: nobody wins by doing less. In a final the
fastest contestants of a race meet again, with longer epochs and shorter waits.

An aim is reached or missed by that median. Beside it stand the ratio of the fastest epochs and that
of the processor times: an epoch of the same processor time may last half as long again by the
clock, and then the median tells who waited more often.

kelbo is `compile("adam")` and `fit`, with no option set but the precision. PyTorch's rows keep the
data on the device and use no DataLoader. Made by `python -m benchmarks.speed` from
benchmarks/results/speed.json.
"""
KINDS = {"cpu": "On a CPU", "gpu": "On a GPU"}
CURVES = {"side": "Image side", "latent_dim": "Size of z", "rows": "Images in the data set"}


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for kind, heading in KINDS.items():
        parts.append(f"## {heading}\n")
        if kind not in results:
            parts.append(
                f"Not measured yet: `make benchmark DEVICE={kind}`, or, if all packages are "
                "installed, "
                f"`python -m benchmarks.speed --device {kind}`.\n"
            )
            continue
        heats, growth = results[kind]["heats"], results[kind]["growth"]
        parts.append(targets(kind, heats))
        for title in heats:
            if not is_final(title):
                parts += [heat(t, heats[t]) for t in (title, final(title)) if t in heats]
        if growth:
            parts.append(
                "### Growth\n\nkelbo alone, one backend after the other: images per second; "
                "seconds from the start of Python to the end of the first epoch, in brackets "
                "those of compiling; the peak memory of the process"
                f"{', in brackets that of the device' if kind == 'gpu' else ''}.\n"
            )
            parts += [curve(name, entry) for name, entry in growth.items()]
    return "\n".join(parts)


def speed_ratio(result: dict[str, Any], name: str, other: str, figure: str = "seconds") -> float:
    """The median over the rounds of the speed of one divided by that of another.

    `figure` may be "processor_seconds" too.
    """
    one, two = (result["contestants"][n][figure] for n in (name, other))
    return statistics.median(b / a for a, b in zip(one, two, strict=True))


def fastest_ratio(result: dict[str, Any], name: str, other: str) -> float:
    """The ratio of the speeds of the fastest epoch of each."""
    one, two = (min(result["contestants"][n]["seconds"]) for n in (name, other))
    return two / one


def fastest(result: dict[str, Any], ours: bool, containing: str = "") -> str | None:
    """kelbo's fastest contestant, or the fastest of the others."""
    names = [
        name
        for name in result["contestants"]
        if name.startswith("kelbo") is ours and containing in name
    ]
    return max(names, key=lambda n: result["contestants"][n]["samples_per_second"], default=None)


def finalists(result: dict[str, Any], count: int) -> list[str]:
    """The fastest contestants of a race, with kelbo's fastest among them."""
    speeds = {name: one["samples_per_second"] for name, one in result["contestants"].items()}
    order = sorted(speeds, key=lambda name: -speeds[name])
    ours = fastest(result, ours=True)
    return [ours, *[name for name in order if name != ours][: count - 1]] if ours else order[:count]


def final(title: str) -> str:
    """The title of the final of a race."""
    return f"{title}, final"


def is_final(title: str) -> bool:
    """Whether a race is a final."""
    return title.endswith(", final")


def targets(kind: str, heats: dict[str, Any]) -> str:
    """The aims, and what was reached."""
    rows: list[tuple[str, float, list[float]]] = []

    def aim(words: str, goal: float, title: str, ours: str = "", theirs: str = "") -> None:
        reached: list[float] = []
        for race in (final(title), title):  # the final, if both were in it
            if race in heats and not reached:
                result = heats[race]["result"]
                pair = fastest(result, True, ours), fastest(result, False, theirs)
                if None not in pair:
                    words = f"{words}: {pair[0]} against {pair[1]}"
                    reached = [
                        speed_ratio(result, *pair),
                        fastest_ratio(result, *pair),
                        speed_ratio(result, *pair, "processor_seconds"),
                    ]
        rows.append((words, goal, reached))

    if kind == "cpu":
        aim("TensorFlow backend, the best peer", 1.0, "batch 128", ours="tensorflow")
        aim("JAX backend, stock Keras", 2.0, "batch 128", "jax", "Keras fit, jax")
    else:
        for batch in (128, 1024, 4096):
            aim(f"batch {batch}, by hand", 1.0, f"batch {batch}", theirs="by hand")
        aim("batch 128, pythae", 10.0, "batch 128", theirs="pythae")
        aim("batch 128, Keras's own fit", 3.0, "batch 128", theirs="Keras fit")
    aim("IWAE with 50 samples, the best peer", 1.0, "IWAE, K = 50")
    aim("96x96x3, the best peer", 1.0, "96x96x3")
    lines = [
        "| aim | at least | reached | fastest epochs | processor time |",
        "|---|---|---|---|---|",
    ]
    for words, goal, reached in rows:
        cells = ["not measured", "", ""]
        if reached:
            cells = [f"{ratio:.2f}" for ratio in reached]
            cells[0] = f"**{cells[0]}**" if reached[0] >= goal else f"{cells[0]}, missed"
        lines.append(f"| {words} | {goal:.1f} | {' | '.join(cells)} |")
    if kind == "gpu":
        lines += ["", *absolute_targets(heats)]
    return "\n".join(lines) + "\n"


def absolute_targets(heats: dict[str, Any]) -> list[str]:
    """The two aims that are not ratios."""
    lines = []
    for title, words, figure, met in (
        ("batch 4096", "1,000,000 images a second", lambda s: f"{s:,.0f}", lambda s: s >= 1e6),
        (
            "batch 128",
            "three epochs of MNIST in 0.5 s",
            lambda s: f"{180_000 / s:.2f} s",
            lambda s: 180_000 / s <= 0.5,
        ),
    ):
        if title not in heats or (name := fastest(heats[title]["result"], True)) is None:
            lines.append(f"- {words}: not measured.")
            continue
        speed = heats[title]["result"]["contestants"][name]["samples_per_second"]
        lines.append(f"- {words}: {figure(speed)}, {'reached' if met(speed) else 'missed'}.")
    return lines


def heat(title: str, entry: dict[str, Any]) -> str:
    """One race as a table, the fastest first."""
    result, work = entry["result"], entry["result"]["work"]
    contestants = result["contestants"]
    best = fastest(result, ours=True)
    device = next((d for one in contestants.values() if (d := one["device"]) != "cpu"), "")
    machine = entry["machine"]
    lines = [
        f"### {title[0].upper()}{title[1:]}",
        "",
        f"{work['rows']:,} images of {work['side']}x{work['side']}x{work['channels']} per epoch, "
        f"batch {work['batch_size']}, {work['precision']}"
        + (f", {work['importance_samples']} samples" if work["importance_samples"] > 1 else "")
        + f". {entry['date'][:10]}, {device + ', ' if device else ''}{machine['cpu_count']} cores "
        f"of {machine['processor']}. At the common weights every loss is "
        f"{result['loss_at_start']:.2f} nats, to {max(result['loss_deviation'], 1e-7):.0e}.",
        "",
        "| | images/s | vs kelbo | CPU, ms/image | loss | first epoch after | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    order = sorted(contestants, key=lambda n: -contestants[n]["samples_per_second"])
    for name in order:
        one = contestants[name]
        speeds = [work["rows"] / seconds for seconds in one["seconds"]]
        ratio = "" if best is None else f"{speed_ratio(result, name, best):.2f}"
        processor = statistics.median(one["processor_seconds"]) / work["rows"] * 1e3
        shown = f"**{name}**" if name == best else name
        lines.append(
            f"| {shown} | {one['samples_per_second']:,.0f} "
            f"({min(speeds):,.0f} to {max(speeds):,.0f}) | {ratio} | {processor:.2f} "
            f"| {one['losses'][-1]:.1f} | {first_epoch(one)} | {memory(one)} |"
        )
    lines += [f"| {name} | absent: {why} | | | | | |" for name, why in result["absent"].items()]
    versions = {k: v for one in contestants.values() for k, v in one["versions"].items()}
    lines += ["", ", ".join(f"{name} {version}" for name, version in sorted(versions.items())), ""]
    return "\n".join(lines)


def curve(name: str, entry: dict[str, Any]) -> str:
    """One growth curve as a table."""
    backends = list(dict.fromkeys(n for point in entry["result"] for n in point["contestants"]))
    network = entry["result"][0]["work"]["network"]
    lines = [
        f"| {CURVES[name]}{'' if network == 'conv' else ', network mlp'} "
        f"| {' | '.join(backends)} |",
        f"|---|{'---|' * len(backends)}",
    ]
    for point in entry["result"]:
        cells = []
        for backend in backends:
            one = point["contestants"].get(backend)
            cells.append(
                f"failed: {point['absent'].get(backend)}"
                if one is None
                else f"{one['samples_per_second']:,.0f}/s, {first_epoch(one)}, {memory(one)}"
            )
        lines.append(f"| {point['work'][name]:,} | {' | '.join(cells)} |")
    machine = entry["machine"]
    lines += [
        "",
        f"{entry['date'][:10]}, {machine['cpu_count']} cores of {machine['processor']}.",
        "",
    ]
    return "\n".join(lines)


def first_epoch(one: dict[str, Any]) -> str:
    """When the first epoch ended, and how much of that was compiling."""
    return f"{one['seconds_to_first_epoch']:.1f} s ({one['compile_seconds']:.1f} s)"


def memory(one: dict[str, Any]) -> str:
    """The peak memory of the process and of the device, in gigabytes."""
    if one["peak_memory"] is None:
        return "unknown"
    text = f"{one['peak_memory'] / 1e9:.1f} GB"
    if one["peak_device_memory"]:
        text += f" ({one['peak_device_memory'] / 1e9:.1f} GB)"
    return text
