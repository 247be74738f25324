"""Every choice of a training, as config.toml holds it. Imports no framework."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Self, get_args, get_origin

import kelbo
from kelbo.errors import UsageError, unknown_name
from kelbo.precision import dtype_policy
from kelbo.presets import FAMILIES, Design

_LARGEST_SEED = 2**32 - 1  # NumPy's and Keras's
# Options that kelbo 0.1 had in the table [model] itself.
_WARMUP_OF_0_1 = "warmup_epochs"
_OPTIONS_OF_0_1 = ("beta", "importance_samples", _WARMUP_OF_0_1)


def _field(section: str, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"section": section})


@dataclass(frozen=True)
class Configuration:
    """Enough to repeat a training; the defaults are those of `kelbo train`.

    Attributes:
        source: the data: a name, a file or a folder (see `kelbo.data.load`).
        binarization: of the pixels.
        image_size: (height, width) that images are resized to, or None.
        channels: 1 or 3, or None for what the images have.
        strict: whether a damaged image file is an error.
        train_limit: how many training images to use at most, or None.
        test_limit: how many test images to use at most, or None.
        cache: whether a folder of images is decoded once, into the user's cache directory.
        preset: the model's name.
        network: the networks' name; the model's own where None, as of the parts that follow.
        latent_dim: size of z.
        likelihood: the likelihood's name.
        posterior: the posterior's name.
        prior: the prior's name.
        objective: the objective's name.
        precision: what the networks compute in, a name in `kelbo.precision.PRECISIONS`.
        options: of the parts, by NAME or FAMILY.NAME; what is left out takes its default.
        epochs: passes over the data.
        batch_size: images in a training step.
        learning_rate: of Adam.
        seed: of everything that is drawn.
        backend: the Keras backend, or None for whichever is chosen.
    """

    source: str = _field("data", "mnist")
    binarization: str = _field("data", "none")
    image_size: tuple[int, int] | None = _field("data", None)
    channels: int | None = _field("data", None)
    strict: bool = _field("data", False)
    train_limit: int | None = _field("data", None)
    test_limit: int | None = _field("data", None)
    cache: bool = _field("data", False)
    preset: str = _field("model", "vae")
    network: str | None = _field("model", None)
    latent_dim: int = _field("model", 16)
    likelihood: str | None = _field("model", None)
    posterior: str | None = _field("model", None)
    prior: str | None = _field("model", None)
    objective: str | None = _field("model", None)
    precision: str = _field("model", "float32")
    options: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"section": "model"}
    )
    epochs: int = _field("training", 3)
    batch_size: int = _field("training", 128)
    learning_rate: float = _field("training", 1e-3)
    seed: int = _field("training", 0)
    backend: str | None = _field("training", None)

    def __post_init__(self) -> None:
        for name, smallest in (("latent_dim", 1), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise UsageError(f"Expected {name} >= {smallest}, received {getattr(self, name)}.")
        dtype_policy(self.precision)
        if self.seed > _LARGEST_SEED:
            raise UsageError(f"Expected seed <= {_LARGEST_SEED}, received {self.seed}.")
        if not 0.0 < self.learning_rate < float("inf"):
            raise UsageError(f"Expected learning_rate > 0, received {self.learning_rate}.")
        design = Design.of(self.preset, self.parts, self.options)
        checked = design.checked(self.options)
        options = {design.spelled(*key): value for key, value in checked.items()}
        object.__setattr__(self, "options", options)

    @property
    def parts(self) -> dict[str, str | None]:
        """The names of the parts by family; None of those that are the model's own."""
        return {family: getattr(self, family) for family in FAMILIES}

    def with_parts_named(self) -> Self:
        """This configuration with the networks and the likelihood named, for whoever reads it."""
        own = Design.of(self.preset, self.parts).parts
        return self.with_changes(network=own["network"].name, likelihood=own["likelihood"].name)

    def with_changes(self, **changes: Any) -> Self:
        """This configuration with every change that is not None; options are added to its own."""
        changes = {name: value for name, value in changes.items() if value is not None}
        if "options" in changes:
            changes["options"] = {**self.options, **changes["options"]}
        return dataclasses.replace(self, **changes)

    def to_toml(self) -> dict[str, Any]:
        """The tables of config.toml."""
        tables: dict[str, Any] = {"kelbo": kelbo.__version__}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "options":
                value = _nested(value)
            if value is not None and value != {}:
                value = list(value) if isinstance(value, tuple) else value
                tables.setdefault(field.metadata["section"], {})[field.name] = value
        return tables

    @classmethod
    def from_toml(cls, tables: dict[str, Any], where: str) -> Self:
        """Read the tables of config.toml; what is left out takes its default.

        Args:
            tables: the parsed file.
            where: the file's name, for messages.

        Raises:
            UsageError: an unknown table or key, or a value of the wrong type or size.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        sections = sorted({field.metadata["section"] for field in fields.values()})
        values: dict[str, Any] = {}
        for section, table in tables.items():
            if section == "kelbo":
                continue
            if section not in sections:
                raise UsageError(f"{where}: {unknown_name('table', section, sections)}")
            if not isinstance(table, dict):
                raise UsageError(f"{where}: expected a table [{section}], found {table!r}.")
            if section == "model":
                table = _with_options(where, table)
            known = [name for name, f in fields.items() if f.metadata["section"] == section]
            for name, value in table.items():
                if name not in known:
                    raise UsageError(f"{where}: {unknown_name(f'key in [{section}]', name, known)}")
                if name != "options":  # each is checked against its declaration
                    value = _typed(where, name, value, fields[name].type)
                values[name] = value
        try:
            return cls(**values)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises:
            UsageError: there is no such file, or it is not a configuration.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"There is no configuration file {path}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise UsageError(f"{path} is not a TOML file: {error}.") from error
        return cls.from_toml(tables, str(path))


_IN_WORDS = {
    str: 'text in "quotes"',
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[int, int]: "[height, width] in whole numbers, or one for a square",
}


def _with_options(where: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table [model] with every option in [model.options]; kelbo 0.1 had them in [model]."""
    nested = table.get("options", {})
    if not isinstance(nested, dict):
        raise UsageError(f"{where}: expected a table [model.options], found {nested!r}.")
    options: dict[str, Any] = {}
    for name, value in nested.items():
        of_family = isinstance(value, dict)
        options |= (
            {f"{name}.{one}": each for one, each in value.items()} if of_family else {name: value}
        )
    old = {name: value for name, value in table.items() if name in _OPTIONS_OF_0_1}
    twice = old.keys() & options.keys()
    if twice:
        raise UsageError(f"{where}: {min(twice)} is in [model] and in [model.options].")
    if not old.get(_WARMUP_OF_0_1):
        old.pop(_WARMUP_OF_0_1, None)  # kelbo 0.1 wrote that there is none, for any model
    rest = {name: value for name, value in table.items() if name not in _OPTIONS_OF_0_1}
    return {**rest, "options": {**old, **options}}


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with those of FAMILY.NAME in a table of the family."""
    tables: dict[str, Any] = {}
    for spelled, value in options.items():
        family, _, name = spelled.rpartition(".")
        (tables.setdefault(family, {}) if family else tables)[name] = value
    return tables


def _typed(where: str, name: str, value: Any, annotation: Any) -> Any:
    """The value as the field's type, or an error that says what was expected."""
    kind = next(kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType)
    # A bool is an int in Python and is none here; 1 will do for 1.0.
    if kind is float and type(value) is int:
        return float(value)
    if get_origin(kind) is tuple:
        if type(value) is int:
            return (value, value)
        if type(value) is list and [type(side) for side in value] == [int, int]:
            return tuple(value)
    elif type(value) is kind:
        return value
    raise UsageError(f"{where}: expected {name} to be {_IN_WORDS[kind]}, found {value!r}.")
