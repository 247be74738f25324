"""The product of likelihoods p(x|z): each column of a vector under one of its own, for tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import keras
import numpy as np
from keras import layers

from kelbo.distributions import Factorised, Product
from kelbo.distributions.distribution import Tensor
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods.likelihood import Likelihood


@dataclass(frozen=True)
class Columns:
    """Neighbouring columns of a table under one likelihood.

    Attributes:
        name: what a message calls them.
        kind: the class of the likelihood.
        size: how many columns.
        options: what the likelihood's constructor takes besides the network, such as
            {"classes": 3}.
    """

    name: str
    kind: type[Likelihood]
    size: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """What the network must give for them."""
        return self.kind.output_shapes((self.size,), **self.options)


@keras.saving.register_keras_serializable("kelbo")
class ProductLikelihood(Likelihood):
    """Columns of a vector x, independent given z, each under a likelihood of its own.

    log p(x|z) is the sum over the columns, densities of numbers and probabilities of classes and
    counts together: what the numbers' units are shifts it by a constant (Nazabal et al.,
    "Handling incomplete heterogeneous data using VAEs", 2020). A column that is not observed
    counts nothing. Data are checked column by column.

    Args:
        network: a keras.Model from z to the outputs of all columns, one after the other; see
            `output_shapes`.
        columns: of x, from left to right, each under a likelihood whose dimensions are independent.

    Raises:
        UsageError: there are no columns, two have one name, one likelihood's dimensions depend on
            one another, or the outputs do not fit.
    """

    def __init__(self, network: keras.Model, columns: Sequence[Columns], **kwargs: Any):
        _check_columns(columns)
        self.columns = tuple(columns)
        kwargs["event_shape"] = (sum(each.size for each in columns),)
        super().__init__(network, **kwargs)
        # A likelihood of each on its own outputs, which shares the network's layers.
        self.parts = [
            each.kind(
                _some(network, place), event_shape=(each.size,), name=f"part_{i}", **each.options
            )
            for i, (each, place) in enumerate(zip(self.columns, self._places, strict=True))
        ]

    @property
    def _places(self) -> list[slice]:
        """Which outputs of the network are those of each part."""
        ends = np.cumsum([len(each.output_shapes) for each in self.columns]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    @property
    def _slices(self) -> list[slice]:
        """Which columns of x are those of each part."""
        ends = np.cumsum([each.size for each in self.columns]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    @classmethod
    def output_shapes(  # type: ignore[override]  # an option of its own
        cls, data_shape: Sequence[int], columns: Sequence[Columns]
    ) -> list[tuple[int, ...]]:
        """The outputs of each of the columns, from left to right."""
        return [shape for each in columns for shape in each.output_shapes]

    @property
    def options(self) -> dict[str, Any]:
        """The columns."""
        return {"columns": self.columns}

    def build(self, input_shape: Any = None) -> None:
        """Build the likelihood of each column."""
        for part in self.parts:
            part.build(input_shape)
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The parameters of all columns, their names after the number of the part: "0.mu"."""
        return {
            f"{i}.{name}": value
            for i, (part, place) in enumerate(zip(self.parts, self._places, strict=True))
            for name, value in part.parameters(outputs[place]).items()
        }

    def _of_parts(self, parameters: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """The parameters of each part, under its own names."""
        split = [(*key.split(".", 1), value) for key, value in parameters.items()]
        return [
            {name: value for i, name, value in split if i == str(place)}
            for place in range(len(self.parts))
        ]

    def distribution(self, parameters: dict[str, Tensor]) -> Product:
        """The product of the columns' distributions."""
        own = zip(self.columns, self.parts, self._of_parts(parameters), strict=True)
        made = [_factorised(column.name, part.distribution(of)) for column, part, of in own]
        return Product(made, [each.size for each in self.columns])

    def fitted(
        self,
        parameters: dict[str, Tensor],
        x: Tensor,
        observed: Tensor | None,
        total: Callable[[Tensor], Tensor],
    ) -> dict[str, Tensor]:
        """With what each part computes of its own columns."""
        found: dict[str, Tensor] = {}
        own = zip(self.parts, self._of_parts(parameters), self._slices, strict=True)
        for i, (part, of_part, columns) in enumerate(own):
            seen = observed if observed is None or observed.shape[-1] == 1 else observed[:, columns]
            fitted = part.fitted(of_part, x[:, columns], seen, total)
            found |= {f"{i}.{name}": value for name, value in fitted.items()}
        return found

    def check(self, x: np.ndarray, observed: np.ndarray | None = None) -> None:
        """Check that each column lies in its support; a message names the column.

        Args:
            x: (n, columns).
            observed: bool, (n, columns) or (n,): which values count; None where all do.

        Raises:
            DataError: a value that counts is NaN, infinite, or outside the column's support.
        """
        if observed is not None and observed.ndim == 1:
            x, observed = x[observed], None
            if not len(x):
                return
        for column, part, columns in zip(self.columns, self.parts, self._slices, strict=True):
            try:
                part.check(x[:, columns], None if observed is None else observed[:, columns])
            except DataError as error:
                raise DataError(f"Column {column.name!r}: {error}") from None

    @property
    def inside(self) -> np.ndarray:
        """A value in each column's support, (columns,)."""
        each = zip(self.columns, self.parts, strict=True)
        return np.concatenate(
            [np.broadcast_to(part.inside, (column.size,)) for column, part in each]
        ).astype("float32")

    def mean_layer(self) -> keras.Layer:
        """What joins what is shown of each column."""
        return layers.Concatenate(axis=-1, dtype="float32", name="dec_out")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """The mean of each column; the most probable of classes and levels."""
        shown = []
        for i, (part, place) in enumerate(zip(self.parts, self._places, strict=True)):
            own = [keras.Input(output.shape[1:], dtype=output.dtype) for output in outputs[place]]
            # A model of its own, for the layers of all parts are called `dec_out`.
            shows = keras.Model(own, part.expected(own), name=f"dec_out_{i}")
            shown.append(shows(outputs[place]))
        return self.mean_layer()(shown) if len(shown) > 1 else shown[0]

    def get_config(self) -> dict[str, Any]:
        """The network and the columns, each likelihood by its registered name."""
        columns = [
            {**asdict(each), "kind": keras.saving.get_registered_name(each.kind)}
            for each in self.columns
        ]
        return {**super().get_config(), "columns": columns}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        columns = [
            Columns(**{**each, "kind": keras.saving.get_registered_object(each["kind"])})
            for each in config["columns"]
        ]
        return super().from_config({**config, "columns": columns})


def _some(network: keras.Model, place: slice) -> keras.Model:
    """The network with some of its outputs alone."""
    outputs = network.outputs[place]
    return keras.Model(network.inputs, outputs if len(outputs) > 1 else outputs[0])


def _check_columns(columns: Sequence[Columns]) -> None:
    if not columns or not all(isinstance(each, Columns) for each in columns):
        raise UsageError(
            "A ProductLikelihood expected columns, such as "
            f"kelbo.Columns('age', kelbo.LogNormalLikelihood), received {columns!r}."
        )
    names = [each.name for each in columns]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Two columns of a ProductLikelihood are called {name!r}.")


def _factorised(name: str, distribution: Any) -> Factorised:
    if not isinstance(distribution, Factorised):
        raise UsageError(
            f"Column {name!r}: the dimensions of a {type(distribution).__name__} depend on one "
            "another. A ProductLikelihood takes likelihoods whose distribution is "
            "kelbo.distributions.Factorised."
        )
    return distribution
