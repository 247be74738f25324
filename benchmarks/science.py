"""Published test figures of VAEs, obtained again with the published recipe.

    KERAS_BACKEND=jax python -m benchmarks.science --row burda-vae-1 --budget 0.01
    KERAS_BACKEND=jax python -m benchmarks.science --row burda-vae-1 --stages 7
    python -m benchmarks.science --page

A row is one entry of a published table: data, networks, objective, optimiser and its schedule, as
the source has them. `--budget F` trains F times as long in each stage of the learning rate;
`--stages N` ends after the first N stages. A training can be stopped with Ctrl-C at any time and
the same command goes on from what was last kept, at most two minutes before. What was obtained is
one entry for each row, budget and number of stages in benchmarks/results/science.json, from which
docs/science.md is made.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import platformdirs

import kelbo
from kelbo import files
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "science.json"
PAGE = Path(__file__).parent.parent / "docs" / "science.md"
STATE = platformdirs.user_cache_path("kelbo") / "science"
SHAPE = (28, 28, 1)
SAMPLES = 5000
# Seconds of training between two files of the model.
KEEP_EVERY = 120.0


@dataclass(frozen=True)
class Stage:
    """A stretch of a training at one learning rate."""

    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Row:
    """One published figure and how it was obtained.

    Attributes:
        make: the model, compiled.
        stages: of the training, at budget 1.
        batch_size: data in a step.
        dynamic: whether every epoch has binary pixels of its own; else they are drawn once.
        images: how many of the training images it has, the first ones.
        published: test negative log-likelihood in nats.
        tolerance: in nats, within which reproductions of the same recipe lie.
        source: where the figure is.
    """

    make: Callable[[np.ndarray], kelbo.VAE]
    stages: tuple[Stage, ...]
    batch_size: int
    dynamic: bool
    published: float
    tolerance: float
    source: str
    images: int = 60_000


def burda(objective: Callable[[], kelbo.Objective]) -> Callable[[np.ndarray], kelbo.VAE]:
    """One stochastic layer of 50 units, two hidden layers of 200 tanh units on each side."""

    def make(mean_image: np.ndarray) -> kelbo.VAE:
        encoder = kelbo.networks.mlp_encoder(SHAPE)
        decoder = kelbo.networks.mlp_decoder(SHAPE, 50)
        vae = kelbo.VAE(
            kelbo.GaussianPosterior(encoder, 50),
            kelbo.BernoulliLikelihood(decoder),
            objective=objective(),
            seed=0,
        )
        mean = np.clip(mean_image, 1e-3, 1.0 - 1e-3).reshape(-1)
        decoder.get_layer("dec_output").bias.assign(np.log(mean / (1.0 - mean)))
        # Their epsilon of 1e-4 stands beside gradients summed over the batch of 20, ours beside
        # their mean.
        vae.compile(keras.optimizers.Adam(1e-3, epsilon=1e-4 / 20.0))
        return vae

    return make


def pythae_vae(mean_image: np.ndarray) -> kelbo.VAE:
    """One hidden layer of 400 ReLU units on each side, 40 latent dimensions."""
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(kelbo.networks.mlp_encoder(SHAPE, (400,), "relu"), 40),
        kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(SHAPE, 40, None, (400,), "relu")),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-4))
    return vae


def gated(x: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """(W x + b) sigmoid(V x + c), He initialisation with biases as PyTorch begins them."""
    begin = {"kernel_initializer": "he_normal"}
    gate = keras.layers.Dense(units, "sigmoid", **begin)(x)
    return keras.layers.Dense(units, **begin)(x) * gate


def pythae_vamp(mean_image: np.ndarray) -> kelbo.VAE:
    """Two gated layers of 300 on each side, 40 latent dimensions, 500 pseudo-inputs."""
    x = keras.Input(SHAPE)
    h = gated(gated(keras.layers.Flatten()(x), 300), 300)
    mu = keras.layers.Dense(40, kernel_initializer="he_normal")(h)
    log_var = keras.layers.Dense(40, kernel_initializer="he_normal")(h)
    encoder = keras.Model(x, [mu, keras.ops.clip(log_var, -6.0, 2.0)])
    z = keras.Input((40,))
    logits = keras.layers.Dense(784, kernel_initializer="he_normal")(gated(gated(z, 300), 300))
    decoder = keras.Model(z, keras.layers.Reshape(SHAPE)(logits))
    # Their weight of the KL is epoch / 100 from epoch 1 on; here it rises in steps, not in stairs.
    rise = kelbo.LinearWarmup(100 * 500)
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(encoder),
        kelbo.BernoulliLikelihood(decoder),
        prior=kelbo.VampPrior(500),
        objective=kelbo.ELBO(rise),
        seed=0,
    )
    # PyTorch's RMSprop averages squares with 0.99 and adds 1e-8.
    vae.compile(keras.optimizers.RMSprop(1e-4, rho=0.99, epsilon=1e-8))
    return vae


def pythae_svae(mean_image: np.ndarray) -> kelbo.VAE:
    """256 and 128 ReLU units on each side, the sphere in 11 dimensions."""
    vae = kelbo.VAE(
        kelbo.VonMisesFisherPosterior(kelbo.networks.mlp_encoder(SHAPE, (256, 128), "relu"), 11),
        kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(SHAPE, 11, None, (256, 128), "relu")),
        prior=kelbo.UniformSpherePrior(),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-3))
    return vae


def _falling(ends: Sequence[int], learning_rate: float) -> tuple[Stage, ...]:
    """Stages that end after these epochs, each at 10^(-1/5) of the rate before."""
    starts = (0, *ends[:-1])
    return tuple(
        Stage(end - start, learning_rate * 10.0 ** (-0.2 * number))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


_BURDA_STAGES = tuple(Stage(3**i, 1e-3 * 10.0 ** (-i / 7.0)) for i in range(8))
_BURDA = "Burda, Grosse and Salakhutdinov, 2016, table 1, one stochastic layer"
_PYTHAE = "pythae, examples/scripts/reproducibility"


def _burda(objective: Callable[[], kelbo.Objective], published: float) -> Row:
    return Row(burda(objective), _BURDA_STAGES, 20, True, published, 1.0, _BURDA)


ROWS = {
    "burda-vae-1": _burda(kelbo.ELBO, 86.76),
    "burda-iwae-5": _burda(lambda: kelbo.IWAE(5), 85.54),
    "burda-iwae-50": _burda(lambda: kelbo.IWAE(50), 84.78),
    "pythae-vae": Row(
        pythae_vae,
        _falling((200, 350, 500), 1e-4),
        100,
        False,
        89.78,
        0.5,
        _PYTHAE,
        50_000,
    ),
    "pythae-vamp": Row(
        pythae_vamp,
        _falling((200, 350, 500, 750, 1000, 2000), 1e-4),
        100,
        False,
        85.79,
        0.5,
        _PYTHAE,
        50_000,
    ),
    "pythae-svae": Row(
        pythae_svae,
        (Stage(500, 1e-3),),
        64,
        True,
        93.13,
        0.5,
        _PYTHAE,
    ),
}


def pixels(images: np.ndarray, *key: int) -> np.ndarray:
    """Binary pixels with the grey ones as means, a function of the key: float32, as `images`."""
    generator = np.random.default_rng(key)
    return (generator.random(images.shape, "float32") < images).astype("float32")


class Training:
    """A training that can be stopped and goes on.

    Args:
        row: what is trained.
        folder: where its state is kept.
        images: grey training images.
    """

    def __init__(self, row: Row, folder: Path, images: np.ndarray):
        self.row = row
        self.images = images
        self.model_file, self.state_file = folder / "model.keras", folder / "state.json"
        self.state = {"epochs": 0, "steps": 0, "seconds": 0.0}
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text())
            self.vae = kelbo.load_model(folder / self.state["model"])
        else:
            folder.mkdir(parents=True, exist_ok=True)
            keras.utils.set_random_seed(0)
            self.vae = row.make(images.mean(axis=0))

    def keep(self) -> None:
        """Write the model and then the state that names it, so that a kill leaves a pair."""
        name = f"model-{self.state['epochs']}-{self.state['steps']}.keras"
        self.vae.save(self.model_file.with_name(name))
        files.write_text(self.state_file, json.dumps({**self.state, "model": name}))
        for old in self.model_file.parent.glob("model-*.keras"):
            if old.name != name:
                old.unlink()

    def epochs(self, budget: float, stages: int) -> Iterator[tuple[int, int, float, float]]:
        """The number of each epoch, its steps, its learning rate, and how far the training is.

        With a budget below 1 a stage may end within an epoch.
        """
        in_epoch = len(self.images) // self.row.batch_size
        planned = [
            (max(1, round(stage.epochs * budget * in_epoch)), stage.learning_rate)
            for stage in self.row.stages[:stages]
        ]
        total, number, done = sum(steps for steps, _ in planned), 0, 0
        for steps, learning_rate in planned:
            while steps:
                taken = min(in_epoch, steps)
                steps, done, number = steps - taken, done + taken, number + 1
                yield number, taken, learning_rate, done / total

    def run(self, budget: float, stages: int) -> None:
        """Train to the end of the last stage, from where it was left."""
        kept = time.perf_counter()
        fixed = None if self.row.dynamic else pixels(self.images, 1)
        for number, steps, learning_rate, share in self.epochs(budget, stages):
            if number <= self.state["epochs"]:
                continue
            start = time.perf_counter()
            self.vae.optimizer.learning_rate = learning_rate
            x = pixels(self.images, 2, number) if fixed is None else fixed
            keras.utils.set_random_seed(number)  # of the order
            rows = np.random.default_rng((3, number)).permutation(len(x))
            x = x[rows[: steps * self.row.batch_size]]
            history = self.vae.fit(
                x, batch_size=self.row.batch_size, shuffle=False, verbose=0, resident=RESIDENT
            )
            self.state["seconds"] += time.perf_counter() - start
            self.state["epochs"], self.state["steps"] = number, self.state["steps"] + steps
            if time.perf_counter() - kept > KEEP_EVERY:
                self.keep()
                kept = time.perf_counter()
                loss = history.history["loss"][-1]
                print(f"epoch {number}, {share:.1%} done, loss {loss:.2f}", flush=True)
        self.keep()


# A small network's steps are faster in one scan, on a CPU too (docs/speed.md).
RESIDENT = keras.backend.backend() == "jax"


def obtain(name: str, budget: float, stages: int, samples: int, images: int) -> dict:
    """Train a row and judge it."""
    row = ROWS[name]
    (train, _), (test, _) = kelbo.data.mnist()
    training = Training(row, STATE / f"{name}-{budget:g}-{stages}", train[: row.images])
    training.run(budget, stages)
    x = pixels(test, 0)[:images]
    log_px = training.vae.log_likelihood(x, num_samples=samples)
    means = training.vae.posterior_mean(x)
    return {
        "row": name,
        "budget": budget,
        "stages": stages,
        "nll": float(-log_px.mean()),
        "standard_error": float(log_px.std() / np.sqrt(len(x))),
        "active": int((means.var(axis=0) > 0.01).sum()),
        "samples": samples,
        "images": len(x),
        "steps": training.state["steps"],
        "seconds": training.state["seconds"],
        "environment": describe_environment(),
    }


def page(results: dict[str, dict]) -> str:
    """The page docs/science.md."""
    lines = [
        "# Published figures, obtained again",
        "",
        "Test negative log-likelihood of MNIST in nats, lower is better: the importance-weighted",
        "bound with as many samples as the table says. A row has the recipe of its source; a",
        "budget below 1 trains that share of it, in each stage of the learning rate, and is not",
        "expected to reach the published figure. Rows of one budget can be compared with one",
        "another. Pixels are binarised as the source does it, the test images once. The error is",
        "the standard error over the test images.",
        "",
        "| row | budget, stages | obtained | published | tolerance | active units | steps | hours "
        "| judged with | measured |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for _, result in sorted(results.items()):
        row, on = ROWS[result["row"]], result["environment"]
        whole = result["budget"] == 1.0 and result["stages"] == len(row.stages)
        lines.append(
            f"| {result['row']} | {result['budget']:g}, {result['stages']} of {len(row.stages)} "
            f"| {result['nll']:.2f} +- {result['standard_error']:.2f} | {row.published:.2f} "
            f"| {f'+-{row.tolerance:g}' if whole else 'smaller budget'} | {result['active']} "
            f"| {result['steps']:,} | {result['seconds'] / 3600:.2f} "
            f"| {result['images']:,} images, {result['samples']:,} samples "
            f"| {on['date'][:10]}, {on['backend']} {on['backend_version']}, Keras {on['keras']}, "
            f"{on['cpu_count']} cores of {on['processor']} |"
        )
    lines += ["", "Sources:", ""]
    lines += [f"- {name}: {row.source}" for name, row in ROWS.items()]
    lines += [
        "",
        "Made by `python -m benchmarks.science` from benchmarks/results/science.json.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--row", choices=ROWS)
    parser.add_argument("--budget", type=float, default=1.0, help="share of each stage's epochs")
    parser.add_argument("--stages", type=int, help="end after so many stages; default: all")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of the bound, for each image")
    parser.add_argument("--images", type=int, default=10_000, help="test images that are judged")
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        if arguments.row is None:
            parser.error(f"Expected --row, one of {', '.join(ROWS)}.")
        if not 0.0 < arguments.budget <= 1.0:
            parser.error(f"Expected a budget above 0 and up to 1, received {arguments.budget:g}.")
        stages = arguments.stages or len(ROWS[arguments.row].stages)
        result = obtain(
            arguments.row, arguments.budget, stages, arguments.samples, arguments.images
        )
        row = ROWS[arguments.row]
        print(
            f"obtained {result['nll']:.2f} nats, published {row.published:.2f}, tolerance "
            f"{row.tolerance:g}, budget {arguments.budget:g}"
        )
        # Another worker may have stored a row in the meantime.
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[f"{arguments.row} {arguments.budget:g} {stages}"] = result
        files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
