"""Every named model at one small budget on MNIST: its picture and its figures.

    KERAS_BACKEND=jax python -m benchmarks.models              # those that are not stored yet
    KERAS_BACKEND=jax python -m benchmarks.models vae iwae     # these, again
    python -m benchmarks.models --page

A model is trained with its own options. Its picture has samples above and test images with their
reconstructions below; a model without a prior has no samples. Figures and pictures are stored in
benchmarks/results/models.json and docs/images/models, from which docs/models.md is made.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

import kelbo
from kelbo import files
from kelbo.data.description import DataDescription
from kelbo.presets import FAMILIES, PRESETS, Design, make
from kelbo.presets.code import code
from kelbo.presets.families import TERMS
from kelbo.report.grid import image_grid, pair_grid, save_image
from kelbo.support import UNIT_INTERVAL
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "models.json"
DOCS = Path(__file__).parent.parent / "docs"
PAGE, IMAGES = DOCS / "models.md", DOCS / "images" / "models"
EPOCHS, BATCH, TRAIN, TEST, LATENT, COLUMNS = 10, 100, 20_000, 1_000, 16, 10
GAP = 12


def picture(model: kelbo.LatentVariableModel, x: np.ndarray) -> Image.Image:
    """Two rows of samples, where there is a prior, above a row of images and reconstructions."""
    images = x[:COLUMNS]
    grids = [pair_grid(images, model.reconstruct(images), COLUMNS)]
    if model.has_prior:
        grids.insert(0, image_grid(model.sample(2 * COLUMNS, seed=0), COLUMNS))
    height = sum(grid.height for grid in grids) + GAP * (len(grids) - 1)
    whole = Image.new("RGB", (grids[0].width, height), "white")
    top = 0
    for grid in grids:
        whole.paste(grid, (0, top))
        top += grid.height + GAP
    return whole


def train(name: str) -> dict[str, Any]:
    """Train a model by name, store its picture, and return its figures."""
    (x, _), (test, _) = kelbo.data.mnist()
    x, test = x[:TRAIN], test[:TEST]
    keras.utils.set_random_seed(0)
    about = DataDescription(x.shape[1:], UNIT_INTERVAL, len(x), 10, "image")
    choices = {"network": "mlp", "network.activation": "relu"}
    model = make(name, about, batch_size=BATCH, latent_dim=LATENT, seed=0, **choices)
    model.compile(keras.optimizers.Adam(1e-3))
    start = time.perf_counter()
    model.fit(x, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    seconds = time.perf_counter() - start
    IMAGES.mkdir(parents=True, exist_ok=True)
    save_image(IMAGES / f"{name}.png", picture(model, test))
    error = np.square(model.reconstruct(test) - test).sum(axis=(1, 2, 3)).mean()
    found: dict[str, Any] = {"seconds": seconds, "squared_error": float(error)}
    found["effective_beta"] = model.effective_beta
    if model.has_bound:
        found["bound"] = float(model.log_likelihood(test[:300], num_samples=200).mean())
    return {**found, "environment": describe_environment()}


def page(results: dict[str, dict[str, Any]]) -> str:
    """The page docs/models.md."""
    lines = [
        "# The named models",
        "",
        "Each is a choice of parts, `kelbo.presets.NAME(data_shape)` in Python and `--model NAME`",
        "at the command line; any other part can be exchanged. `kelbo models` lists them,",
        "`kelbo models parts` the parts, and `kelbo models show NAME` prints what stands here.",
        "Unless a model says otherwise its parts are the VAE's.",
        "",
        f"The pictures are of a small common budget, {EPOCHS} epochs of {TRAIN:,} images of MNIST",
        f"with two hidden layers of 200 ReLU units, {LATENT} latent dimensions, and each model's",
        "own options: they show that it works, not how well it can. Samples of the prior are",
        "above, test images with their reconstructions below. The squared error is the sum over",
        "an image. The bound is that on log p(x) with 200 samples of z, in nats; grey pixels under",
        "a Bernoulli make it no log-likelihood, and it compares models of one likelihood alone.",
        "",
    ]
    for name, preset in PRESETS.items():
        design, found = Design.of(name), results.get(name)
        lines += [f"## {name}", "", f"{preset.paper}.", ""]
        changed = preset.changes or "objective"
        for family, part in design.parts.items():
            other = part.name != next(iter(FAMILIES[family]))
            if family == changed or other or not preset.changes:
                lines.append(f"- {TERMS[family]}: `{part.maths}`")
        options = [
            f"`{design.spelled(family, one.name)}` ({value:g})"
            if not isinstance(value, str)
            else f"`{design.spelled(family, one.name)}` ({value})"
            for family, one, value in design.options()
            if family == changed
        ]
        if options:
            lines.append(f"- options: {', '.join(options)}")
        lines += ["", "```python", code(design), "```", ""]
        if found is not None:
            lines += [f"![{name}](images/models/{name}.png)", "", _figures(found), ""]
    lines += [
        "Made by `python -m benchmarks.models` from benchmarks/results/models.json.",
        "",
    ]
    return "\n".join(lines)


def _figures(found: dict[str, Any]) -> str:
    on, beta = found["environment"], found["effective_beta"]
    figures = [f"squared error {found['squared_error']:.1f}"]
    if "bound" in found:
        figures.append(f"bound {found['bound']:.1f} nats")
    without = "no single weight of the KL" if "bound" in found else "no KL"
    figures.append(without if beta is None else f"effective beta {beta:.4g}")
    figures.append(f"trained in {found['seconds']:.0f} s")
    return (
        f"{', '.join(figures)} ({on['date'][:10]}, {on['backend']} {on['backend_version']}, "
        f"{on['cpu_count']} cores of {on['processor']})".replace("(R)", "")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", help="names; default: those not stored yet")
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        for name in arguments.models or [one for one in PRESETS if one not in results]:
            results[name] = train(name)
            print(f"{name:16} {_figures(results[name])}", flush=True)
            files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
