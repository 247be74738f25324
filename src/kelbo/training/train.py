"""Train a model as a configuration says, into a run directory."""

import logging
from collections.abc import Iterable
from pathlib import Path

import keras

from kelbo.data import NAMED, Dataset, load
from kelbo.data.cache import Watcher
from kelbo.model import LatentVariableModel
from kelbo.presets import make
from kelbo.runs import ENVIRONMENT, RunDirectory
from kelbo.training.agreement import counts
from kelbo.training.checkpoint import Checkpoint
from kelbo.training.configuration import Configuration
from kelbo.training.environment import describe_environment

_LOG = logging.getLogger(__name__)
# Training images that are looked at before a training.
_LOOKED_AT = 256


def load_data(configuration: Configuration, watcher: Watcher | None = None) -> Dataset:
    """The data set that the configuration names; `watcher` is told what happens to its cache.

    Raises:
        UsageError: there is none of that name.
        DataError: it cannot be read.
    """
    return load(
        configuration.source,
        binarization=configuration.binarization,
        image_size=configuration.image_size,
        channels=configuration.channels,
        seed=configuration.seed,
        strict=configuration.strict,
        train_limit=configuration.train_limit,
        test_limit=configuration.test_limit,
        cache=configuration.cache,
        watcher=watcher,
    )


def make_model(configuration: Configuration, data: Dataset) -> LatentVariableModel:
    """The compiled model for the data, its weights drawn from the configuration's seed.

    Raises:
        UsageError: an unknown name or an impossible size.
    """
    keras.utils.set_random_seed(configuration.seed)
    model = make(
        configuration.preset,
        data.description,
        batch_size=configuration.batch_size,
        latent_dim=configuration.latent_dim,
        seed=configuration.seed,
        precision=configuration.precision,
        **configuration.parts,
        **configuration.options,
    )
    model.compile(keras.optimizers.Adam(configuration.learning_rate))
    return model


def train(
    configuration: Configuration,
    data: Dataset,
    model: LatentVariableModel,
    out: str | Path,
    force: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> RunDirectory:
    """Train; after every epoch the run directory holds the model and the metrics so far.

    Nothing is written before the data have been checked against the model.

    Args:
        configuration: of the run.
        data: from `load_data`.
        model: from `make_model`.
        out: the run directory to make.
        force: whether to clear a run that is there already.
        callbacks: further Keras callbacks.

    Raises:
        DataError: the data do not fit the likelihood.
        RunError: there is something at `out` already.
        DivergedError: the loss became NaN or infinite; finished epochs are kept.
    """
    seed = configuration.seed
    batches = data.batches("train", configuration.batch_size, shuffle=True, seed=seed)
    validation = data.batches("test", configuration.batch_size)
    for part in (batches, validation):
        model.check_data(part)
    _warn_of_equal_images(data)
    run = RunDirectory.create(out, force)
    run.write_config(_found_from_anywhere(configuration).with_parts_named().to_toml())
    run.write_json(ENVIRONMENT, {**describe_environment(), **counts(data)})
    with run.training():
        model.fit(
            batches,
            epochs=configuration.epochs,
            shuffle=False,  # they shuffle themselves
            validation_data=validation,
            verbose=0,
            callbacks=[Checkpoint(run, data.count("train")), *callbacks],
        )
    return run


def _warn_of_equal_images(data: Dataset) -> None:
    images, _ = data.head("train", _LOOKED_AT)
    if len(images) > 1 and (images == images[:1]).all():
        _LOG.warning(
            "The first %d training images are all equal: a model learns nothing from them but that "
            "one image. Look whether the data were read or scaled as they should be.",
            len(images),
        )


def _found_from_anywhere(configuration: Configuration) -> Configuration:
    """The configuration with the whole path of its data, unless they have a name."""
    if configuration.source in NAMED:
        return configuration
    return configuration.with_changes(
        source=str(Path(configuration.source).expanduser().absolute())
    )
