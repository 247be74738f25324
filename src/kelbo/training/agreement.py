"""Whether the files of a run still belong together: its configuration, its model and its data."""

from typing import Any

from kelbo.data import Dataset
from kelbo.data.description import DataDescription
from kelbo.errors import DataError, RunError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.model import LatentVariableModel
from kelbo.presets import Design, make
from kelbo.runs import CONFIG, ENVIRONMENT, MODEL, RunDirectory
from kelbo.single_group import SingleGroup
from kelbo.support import Support
from kelbo.training.configuration import Configuration


def read_configuration(run: RunDirectory) -> Configuration:
    """The configuration of a run.

    Raises:
        RunError: it is missing or damaged, or names what does not exist.
    """
    tables = run.read_config()
    try:
        return Configuration.from_toml(tables, CONFIG)
    except UsageError as error:
        raise run.damaged(CONFIG, str(error).rstrip(".")) from error


def check_model(
    run: RunDirectory, configuration: Configuration, model: LatentVariableModel
) -> None:
    """Check that a run's model is one that its configuration makes.

    Raises:
        RunError: it has another latent dimension, or another part.
    """
    choices: dict[str, Any] = {**configuration.parts, **configuration.options}
    try:
        told = make(
            configuration.preset,
            DataDescription(model.data_shape, Support("real"), 1, None, "image"),
            latent_dim=configuration.latent_dim,
            precision=configuration.precision,
            **choices,
        )
    except UsageError as error:
        raise run.damaged(CONFIG, str(error).rstrip(".")) from error
    for key in ("latent_dim", *configuration.parts):
        if _described(key, told) != _described(key, model):
            raise RunError(
                f"{run.file(CONFIG)} does not describe the model beside it: with {key} = "
                f"{_chosen(configuration, key)!r} it would be another than {MODEL} holds. Put the "
                f"{CONFIG} back that the training wrote, or train again."
            )


def _chosen(configuration: Configuration, key: str) -> Any:
    """What the configuration says of a choice, or leaves to its model."""
    if key in configuration.parts:
        return Design.of(configuration.preset, configuration.parts).parts[key].name
    return getattr(configuration, key)


def _described(key: str, model: LatentVariableModel) -> Any:
    """What a choice made of a model, as what can be compared."""
    if key == "latent_dim":
        return model.latent_shape
    if key == "likelihood":
        return type(model.likelihood), _options(model.likelihood)
    if key != "network":
        return type(getattr(model, key))
    parts = [model.likelihood, *([model.posterior] if isinstance(model, SingleGroup) else [])]
    return [[tuple(weight.shape) for weight in part.network.weights] for part in parts]


def _options(likelihood: Likelihood) -> dict[str, Any]:
    """The likelihood's own options: neither those of every layer, nor its network."""
    own = likelihood.get_config()
    return {key: own[key] for key in own.keys() - {"name", "trainable", "dtype", "network"}}


def check_unchanged(run: RunDirectory, data: Dataset) -> None:
    """Check that a run's data are as many as they were when it was trained.

    Where the source has no test part, the split depends on the number of images: with another
    number the model would be judged on images that it was trained on.

    Raises:
        DataError: there are more or fewer images now.
    """
    environment = run.read_json(ENVIRONMENT)
    for name, count in counts(data).items():
        if environment.get(name, count) != count:
            raise DataError(
                f"The data have changed since {run.path} was trained: {environment[name]} "
                f"{name.replace('_', ' ')} then, {count} now, so training and test images may have "
                "been mixed. Restore the data, or train again."
            )


def counts(data: Dataset) -> dict[str, int]:
    """How many images there are to train and to test on, as a run's environment has them."""
    return {"training_images": data.count("train"), "test_images": data.count("test")}
