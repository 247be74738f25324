"""Is z drawn from the q(z|x) whose mu and log_var the encoder gives?"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.clinic.anatomy.roles import TO_LOG_VAR
from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.clinic.diagnosis.unchanged import in_float32, state_kept

# The fewest draws: their standard deviation is known to a quarter at five standard errors.
_FEWEST = 200
# Tolerance for the standard deviation and the mean of the noise, in standard errors, and at least
# what rounding and a few dead units may add.
_SIGMAS, _LEAST = 5.0, 0.03
# A smaller standard deviation is rounding, not noise.
_NO_NOISE = 1e-3
_PLACES = ("first", "second", "third")
_IN_WORDS = {
    "log_var": "log_var",
    "log_sigma": "log sigma",
    "sigma": "sigma",
    "var": "sigma^2",
}


def check_draw(subject: Subject, data: Data) -> Finding | None:
    """Find an encoder whose z is not drawn from the mu and log_var that it gives.

    Of three outputs, z is the one that changes in a second pass; if none changes, the one that is
    neither mu nor log_var. If z is no draw, the outputs come in another order or mean something
    else, or the noise is scaled wrongly. Then no figure that is computed from mu and log_var says
    anything about the model.

    Args:
        subject: the model.
        data: finite data.
    """
    # Some layers draw in training alone and return mu as z in inference.
    for training in (False, True):
        with in_float32(subject), state_kept(subject):
            given, again = (subject.outputs(data.x, data.conditions, training) for _ in range(2))
            mu, log_var = subject.posterior(given)
        outputs = _in_order(given)
        order = (_place(outputs, mu), _place(outputs, log_var))
        tensors, redrawn = (
            [ops.convert_to_numpy(one).astype("float64") for one in _in_order(passed)]
            for passed in (given, again)
        )
        shapes = {one.shape for one in tensors}
        if len(outputs) != 3 or 3 in order or len(shapes) != 1 or tensors[0].size < _FEWEST:
            return None
        drawn = {n for n in range(3) if not np.array_equal(tensors[n], redrawn[n])}
        if drawn:
            break
    if len(drawn) > 1:
        return None
    noise = _noise(tensors, (*order, "log_var"))
    if not np.isfinite(noise).all():  # of a sigma of 0, which another check finds
        return None
    if _is_standard(noise) and drawn.isdisjoint(order):
        return None
    names = list(map(repr, given)) if isinstance(given, dict) else _PLACES
    spread, mean = float(noise.std()), float(noise.mean())
    ways = (way for way in _ways(order) if drawn.isdisjoint(way[:2]))
    other = next((way for way in ways if _is_standard(_noise(tensors, way))), None)
    return Finding(
        name="z-is-no-draw",
        severity="warning" if other is None and spread > _NO_NOISE else "error",
        title="z is not drawn from what was taken for mu and log_var",
        meaning=(
            f"Of the encoder's outputs the {names[order[0]]} was taken for mu, the "
            f"{names[order[1]]} for log_var. (z - mu) / exp(log_var / 2) has a standard "
            f"deviation of {spread:.3g} and a mean of {mean:.3g}; a draw has 1 and 0."
            f"{_explained(other, names, spread)}"
        ),
        cure=_cure(other, order, spread),
        figures={"noise_deviation": spread, "noise_mean": mean},
    )


def _in_order(given: Any) -> list[Any]:
    return list(given.values() if isinstance(given, dict) else keras.tree.flatten(given))


def _place(outputs: list[Any], wanted: Any) -> int:
    """The index of a tensor among the outputs; 3 if it is computed from them."""
    return next((place for place, one in enumerate(outputs) if one is wanted), 3)


# The index of mu among the outputs, that of the second parameter, and the second's meaning.
_Way = tuple[int, int, str]


def _ways(order: tuple[int, int]) -> Iterator[_Way]:
    """The ways to read the outputs: in the given order first, then in every other order."""
    orders = sorted(itertools.permutations(range(3), 2), key=lambda one: one != order)
    for kinds in (["log_var"], [kind for kind in TO_LOG_VAR if kind != "log_var"]):
        for one in orders:
            yield from ((*one, kind) for kind in kinds)


def _noise(tensors: list[np.ndarray], way: _Way) -> np.ndarray:
    """(z - mu) / sigma, where z is the remaining output; NaN where the second is no sigma."""
    mu, second, kind = tensors[way[0]], tensors[way[1]], way[2]
    z = next(one for place, one in enumerate(tensors) if place not in way[:2])
    log_var = ops.convert_to_numpy(TO_LOG_VAR[kind](second))
    # Something that is no sigma may have no logarithm, or overflow in the exponential.
    with np.errstate(all="ignore"):
        return (z - mu) / np.exp(0.5 * log_var)


def _is_standard(noise: np.ndarray) -> bool:
    if not np.isfinite(noise).all():  # in an order that is not the encoder's
        return False
    off = [abs(noise.std() - 1.0) * math.sqrt(2.0), abs(noise.mean())]
    return all(one < max(_SIGMAS / math.sqrt(noise.size), _LEAST) for one in off)


def _explained(way: _Way | None, names: Sequence[str], spread: float) -> str:
    if way is None:
        return " z is mu." if spread <= _NO_NOISE else ""
    mu, second, kind = way
    return f" It has both where the {names[mu]} is mu and the {names[second]} is {_IN_WORDS[kind]}."


def _cure(way: _Way | None, order: tuple[int, int], spread: float) -> str:
    draw = "z = mu + exp(0.5 * log_var) * noise"
    if way is not None and way[:2] == order:
        said = {"log_sigma": "2 * log_sigma", "sigma": "2 * ops.log(sigma)", "var": "ops.log(var)"}
        return (
            f"If that is what the model means, say so: encoder=keras.Model(x, [mu, "
            f"{said[way[2]]}]). If the output is log_var, draw {draw}."
        )
    if way is not None:
        return (
            "Name the layers of these outputs z_mean and z_log_var, or pass an encoder that gives "
            "them in this order: encoder=keras.Model(x, [mu, log_var])."
        )
    if spread <= _NO_NOISE:
        return f"Draw {draw}, with noise of keras.random.normal(ops.shape(mu))."
    return (
        f"Draw {draw}, noise with a standard deviation of 1. If z is meant to be more, such as "
        "a flow's, pass an encoder that gives mu and log_var alone: the KL is that of q before it."
    )
