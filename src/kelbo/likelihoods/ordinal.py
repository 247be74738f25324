"""The ordinal likelihood p(x|z), for ordered levels."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions import Ordinal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods.categorical import number_of
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.likelihoods.summary_layer import Summary
from kelbo.networks.output_range import check_all_reals
from kelbo.support import Support

_ENOUGH = (-4.0, 4.0)
_THRESHOLDS = ("per-dimension", "shared")
# Neighbouring thresholds stay this far apart, so that no level becomes impossible.
_LEAST_GAP = 1e-3


@keras.saving.register_keras_serializable("kelbo")
class OrdinalLikelihood(Likelihood):
    """Each value is one of K levels in order: P(x <= k) = sigmoid(threshold_k - score(z)).

    The proportional-odds model (McCullagh, "Regression models for ordinal data", 1980; in a VAE:
    Nazabal et al., "Handling incomplete heterogeneous data using VAEs", 2020). One score moves all
    levels, and the K - 1 thresholds are learned, in order; they start where a score of 0 makes all
    levels equally probable.

    Data are the numbers of the levels, 0 to K - 1. The decoder, `predict` and `sample` show the
    most probable level; `Ordinal.mean` has the expected number, which is mostly between levels.

    Args:
        network: a keras.Model from z to the score, of the datum's shape, which can be any real
            number.
        levels: K, at least 2.
        thresholds: "per-dimension": each dimension has its own; "shared": all have the same.

    Raises:
        UsageError: K < 2, `thresholds` is none of these, the score is bounded, or the outputs do
            not fit.
    """

    def __init__(
        self, network: keras.Model, levels: int, thresholds: str = "per-dimension", **kwargs: Any
    ):
        self.levels = number_of("levels", levels)
        if thresholds not in _THRESHOLDS:
            raise UsageError(
                "The thresholds of an OrdinalLikelihood are expected to be 'per-dimension' or "
                f"'shared', received {thresholds!r}."
            )
        self.thresholds = thresholds
        super().__init__(network, **kwargs)
        self.support = Support("classes", 0.0, self.levels - 1.0)
        self.cut_layer = Cuts(self.levels, thresholds == "shared", name="cuts", dtype="float32")
        check_all_reals(type(self).__name__, network, 0, "score", _ENOUGH)

    @classmethod
    def output_shapes(cls, data_shape: Any, **options: Any) -> list[tuple[int, ...]]:
        """The score, of the shape of the data."""
        return [tuple(data_shape)]

    @property
    def options(self) -> dict[str, Any]:
        """The number of levels, and whose thresholds they are."""
        return {"levels": self.levels, "thresholds": self.thresholds}

    def build(self, input_shape: Any = None) -> None:
        """Make the thresholds."""
        self.cut_layer.build(self.output_shape)
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The score, (batch, *event)."""
        return {"score": outputs[0]}

    def distribution(self, parameters: dict[str, Tensor]) -> Ordinal:
        """The levels between the thresholds."""
        return Ordinal(self.cut_layer(parameters["score"]), self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """From the cumulative logits to the number of the most probable level."""
        return Summary("Ordinal", "mode", name="dec_out")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """The most probable level, which needs the thresholds."""
        return self.mean_layer()(self.cut_layer(outputs[0]))


@keras.saving.register_keras_serializable("kelbo")
class Cuts(keras.Layer):
    """From scores to cumulative logits: K - 1 learned thresholds, in order, less the score.

    Args:
        levels: K.
        shared: whether all dimensions have the same thresholds.
    """

    def __init__(self, levels: int, shared: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.levels = levels
        self.shared = shared

    def build(self, input_shape: Any) -> None:
        """Make the lowest threshold and the gaps, so that all levels are equally probable."""
        axes = () if self.shared else tuple(input_shape[1:])
        shares = np.arange(1, self.levels) / self.levels
        cuts = np.log(shares) - np.log1p(-shares)
        gaps = np.maximum(np.diff(cuts) - _LEAST_GAP, _LEAST_GAP)
        raw = np.log(np.expm1(gaps))  # the inverse of softplus
        start = np.concatenate([cuts[:1], raw])
        self.raw = self.add_weight(
            shape=(*axes, self.levels - 1), initializer="zeros", dtype="float32", name="thresholds"
        )
        self.start = start.astype("float32")
        super().build(input_shape)

    @property
    def thresholds(self) -> Tensor:
        """In order along the last axis: (K - 1,) or (*event, K - 1)."""
        raw = self.raw + self.start
        gaps = _LEAST_GAP + ops.softplus(raw[..., 1:])
        return ops.cumsum(ops.concatenate([raw[..., :1], gaps], axis=-1), axis=-1)

    def call(self, score: Tensor) -> Tensor:
        """Scores, (S..., batch, *event), to cumulative logits, (S..., batch, *event, K - 1)."""
        return self.thresholds - score[..., None]

    def get_config(self) -> dict[str, Any]:
        """The levels, and whether thresholds are shared."""
        return {**super().get_config(), "levels": self.levels, "shared": self.shared}
