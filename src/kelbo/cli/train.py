"""`kelbo train`: train a model, evaluate it, and write its report."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from kelbo.cli.console import (
    BackendOption,
    JsonOption,
    SamplesOption,
    listen_to_warnings,
    quiet_stderr,
    say,
    start_backend,
    stderr,
)
from kelbo.cli.model_options import flag, part, read_options, some
from kelbo.errors import RunError
from kelbo.files import full_disk, is_full
from kelbo.presets import PRESETS
from kelbo.runs import METRICS, MODEL, RunDirectory, default_name

_DATA = "Data"
_MODEL = "Model"
_TRAINING = "Training"

# Training images that are looked at after every epoch.
_WATCHED = 256


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="A data set's name, an .npz or .npy file, or a folder of IDX files or images.",
            show_default="mnist",
            rich_help_panel=_DATA,
        ),
    ] = None,
    binarize: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="none, threshold, static (drawn once) or dynamic (drawn for every batch).",
            show_default="none",
            rich_help_panel=_DATA,
        ),
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT [WIDTH]",
            help="Resize every image, one number: to a square; parts beyond the shape are cut off.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            help="1 for grey, 3 for colour; default: what the images have.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict", help="Refuse damaged images, not skip them.", rich_help_panel=_DATA
        ),
    ] = None,
    train_limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Use the first N training images.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    test_limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Use the first N test images.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option(
            "--cache",
            help="Decode a folder of images once, into $KELBO_CACHE or the user's cache directory.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"{some(list(PRESETS))}: see kelbo models.",
            show_default="vae",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    latent_dim: Annotated[
        int | None,
        typer.Option(metavar="D", help="Size of z.", show_default="16", rich_help_panel=_MODEL),
    ] = None,
    network: Annotated[str | None, part("network", _MODEL)] = None,
    likelihood: Annotated[str | None, part("likelihood", _MODEL)] = None,
    posterior: Annotated[str | None, part("posterior", _MODEL)] = None,
    prior: Annotated[str | None, part("prior", _MODEL)] = None,
    objective: Annotated[str | None, part("objective", _MODEL)] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="float32, or bf16: the networks compute in bfloat16, all else in float32.",
            show_default="float32",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option, as beta=4 or network.depth=3; again for another.",
            show_default=False,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    beta: Annotated[str | None, flag("beta", _MODEL)] = None,
    warmup_epochs: Annotated[str | None, flag("warmup_epochs", _MODEL)] = None,
    importance_samples: Annotated[str | None, flag("importance_samples", _MODEL)] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Passes over the data.", show_default="3", rich_help_panel=_TRAINING
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Images a step.", show_default="128", rich_help_panel=_TRAINING
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(metavar="R", help="Of Adam.", show_default="0.001", rich_help_panel=_TRAINING),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of everything that is drawn.",
            show_default="0",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    backend: BackendOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Start from a configuration; other options override it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="The run directory to make; default: a name with the time in runs/.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the run at --out.")] = False,
    watch: Annotated[
        bool,
        typer.Option(help="Warn after an epoch when the model goes wrong, and say the cure."),
    ] = True,
    samples: SamplesOption = 10,
    json: JsonOption = False,
) -> None:
    """Train a model, evaluate it on the test images, and write a report.

    Example: [bold]kelbo train --data mnist --model vae --epochs 3 --out runs/first[/bold]
    """
    from kelbo.training.configuration import Configuration

    listen_to_warnings()
    configuration = Configuration.read(config) if config else Configuration()
    parts = {
        "network": network,
        "likelihood": likelihood,
        "posterior": posterior,
        "prior": prior,
        "objective": objective,
    }
    chosen_parts = {name: parts[name] or own for name, own in configuration.parts.items()}
    options = read_options(
        model or configuration.preset, chosen_parts, settings or [], context.params
    )
    configuration = configuration.with_changes(
        source=data,
        binarization=binarize,
        image_size=image_size,
        channels=channels,
        strict=strict,
        train_limit=train_limit,
        test_limit=test_limit,
        cache=cache,
        preset=model,
        latent_dim=latent_dim,
        precision=precision,
        options=options,
        **parts,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        backend=backend,
    )
    name = default_name(configuration.source, configuration.preset, datetime.now())
    run_path = out or Path("runs") / name
    # What can be refused is refused before the data are read.
    RunDirectory.check_place(run_path, force)
    configuration = configuration.with_parts_named()
    chosen = start_backend(configuration.backend, configuration.network)
    configuration = configuration.with_changes(backend=chosen)

    from kelbo.callbacks import Watch
    from kelbo.cli.cache_progress import CacheProgress
    from kelbo.cli.evaluate import evaluate_and_report, print_result
    from kelbo.cli.interruption import HeedCtrlC
    from kelbo.cli.progress import ProgressBar
    from kelbo.training.train import load_data, make_model
    from kelbo.training.train import train as train_model

    with CacheProgress() as watcher:
        data_set = load_data(configuration, watcher)
    with quiet_stderr():
        # Keras seeds every backend that is installed, and so imports them all.
        autoencoder = make_model(configuration, data_set)
    count = data_set.count("train")
    say(
        f"Data: {data_set.name}, {count:,} training and {data_set.count('test'):,} test images of "
        f"{' x '.join(map(str, data_set.data_shape))}"
    )
    say(autoencoder.describe_training().removeprefix("kelbo: "), style="bold")
    for caution in (
        autoencoder.likelihood.caution(data_set.description.support),
        _caution_of_colours(configuration.binarization, data_set.data_shape),
    ):
        if caution:
            say(f"Note: {caution}", style="yellow")
    bar = ProgressBar(stderr, configuration.batch_size, math.ceil(count / configuration.batch_size))
    with _explained_full_disk(RunDirectory(run_path)):
        try:
            with HeedCtrlC() as heed:
                callbacks = [bar, heed]
                if watch and count > 1:
                    callbacks.append(Watch(data_set.head("train", _WATCHED)[0]))
                run = train_model(
                    configuration, data_set, autoencoder, run_path, force=force, callbacks=callbacks
                )
        except KeyboardInterrupt:
            bar.close()
            raise RunError(f"Interrupted. {_what_there_is(RunDirectory(run_path))}") from None
        finally:
            bar.close()
        figures = evaluate_and_report(run, autoencoder, data_set, samples)
    print_result(run, figures, json)


@contextmanager
def _explained_full_disk(run: RunDirectory) -> Iterator[None]:
    """Say what a full disk leaves of a run, whose command cannot simply be repeated."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise RunError(f"{full_disk(error)} Make room first. {_what_there_is(run)}") from error


def _caution_of_colours(binarization: str, data_shape: tuple[int, ...]) -> str:
    if binarization == "none" or data_shape[-1] == 1:
        return ""
    return (
        "The three colours of a pixel are binarised each by itself, which leaves eight colours in "
        "all. --channels 1 makes the images grey first; --likelihood gaussian-shared takes colours "
        "as they are."
    )


def _what_there_is(run: RunDirectory) -> str:
    """What a training that was stopped has left, and what to do."""
    if not run.file(MODEL).exists() or not run.file(METRICS).exists():
        return (
            f"The first epoch was not finished: {run.path} holds no model yet. "
            "The same command with --force starts again."
        )
    epochs = len(run.read_metrics()["epoch"])
    return (
        f"{run.path} holds the model after {epochs} finished "
        f"epoch{'s' if epochs > 1 else ''}; `kelbo evaluate {run.path}` judges it."
    )
