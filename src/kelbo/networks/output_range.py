"""Which values the last step of a network can give, measured and not looked up.

What stands behind the last layer that has weights is a fixed function of reals, its activation
first. It is tried on reals of both signs and every size: what grows with them is unbounded, and
what does not is a bound. So no list of names is needed, softmax is measured over its axes, and an
activation function of the user's own is judged by what it does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kelbo.errors import UsageError

# A function is tried on reals up to each of these. What is finite and hardly larger on the second
# than on the first is a bound; the slowest growth that a network can want is a logarithm's.
_REACH = (1e3, 1e6)
_GROWTH = 1.2


@dataclass(frozen=True)
class OutputRange:
    """What one output of a network can give.

    Attributes:
        low: the smallest value; -inf where there is none.
        high: the largest value; inf where there is none.
        step: the step of the network that bounds it, for a message; empty where nothing does.
        cure: what to do about that step.
    """

    low: float = -math.inf
    high: float = math.inf
    step: str = ""
    cure: str = ""

    def contains(self, low: float, high: float) -> bool:
        """Whether the output can give all values from `low` to `high`."""
        return self.low <= low and high <= self.high

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"no value above {self.high:.3g}"
        if self.high == math.inf:
            return f"no value below {self.low:.3g}"
        return f"values in [{self.low:.3g}, {self.high:.3g}] alone"


def output_range(network: keras.Model, output: int = 0) -> OutputRange:
    """The values that an output of a functional or sequential network can give.

    All reals where nothing is known: of a network without symbolic outputs, or where a step fails
    on what it is tried on.

    Args:
        network: of which the weights can become anything.
        output: the place of the output.
    """
    try:
        return _probe(network.outputs[output]).range
    except Exception:  # a step of the user's own may fail in any way, and is then not judged
        return OutputRange()


def check_all_reals(
    owner: str,
    network: keras.Model,
    output: int,
    meaning: str,
    enough: tuple[float, float],
    why: str = "",
) -> None:
    """Refuse a network whose output is wanted on all of the real line and cannot go there.

    Args:
        owner: who wants it, for the message.
        network: the network.
        output: the place of the output.
        meaning: what the output stands for, as "logits".
        enough: the values that it must be able to give: a clip that is wider is a guard and no
            mistake.
        why: a last sentence.

    Raises:
        UsageError: the output cannot give all values in `enough`.
    """
    found = output_range(network, output)
    if not found.contains(*enough):
        raise UsageError(
            f"{owner} expected {meaning}, which can be any real number, but the network "
            f"{network.name!r} ends in {found.step}, which gives {found}. {found.cure}{why}"
        )


@dataclass(frozen=True)
class _Probe:
    """What a tensor of a network is when it is tried with small and with large reals."""

    values: tuple[Any, ...]  # one (n, *shape) for each of _REACH
    range: OutputRange


def _probe(tensor: keras.KerasTensor) -> _Probe:
    step, node, place = tensor._keras_history
    if isinstance(step, keras.Model):
        outputs = getattr(step, "outputs", None)
        return _probe(outputs[place]) if outputs else _reals(tensor)
    if isinstance(step, layers.InputLayer):
        return _reals(tensor)
    if getattr(step, "weights", ()):
        activation = _last_activation(step)
        reals = _reals(tensor)
        if activation is None:
            return reals
        name = getattr(activation, "__name__", type(activation).__name__)
        return _after(
            [reals],
            [activation(values) for values in reals.values],
            f"the activation {name} of the layer {step.name!r}",
            f"Give the layer {step.name!r} no activation (activation=None).",
        )
    node = step._inbound_nodes[node]
    before = [_probe(source) for source in node.input_tensors]
    tried = []
    for reach in range(len(_REACH)):
        known = {
            id(source): probe.values[reach]
            for source, probe in zip(node.input_tensors, before, strict=True)
        }
        arguments, options = node.arguments.fill_in(known)
        tried.append(keras.tree.flatten(step(*arguments, **options))[place])
    if isinstance(step, keras.Layer):
        activation = getattr(step, "activation", None)
        kind = getattr(activation, "__name__", type(step).__name__)
        return _after(
            before,
            tried,
            f"the layer {step.name!r} ({kind})",
            f"Leave the layer {step.name!r} out.",
        )
    name = type(step).__name__
    return _after(before, tried, f"the operation {name}", f"Leave the operation {name} out.")


def _last_activation(layer: keras.Layer) -> Callable[[Any], Any] | None:
    """The activation through which all goes that a layer with weights gives."""
    while isinstance(layer, layers.Wrapper):
        layer = layer.layer
    # A layer of the user's own may do anything after its activation.
    is_known = type(layer).call.__module__.startswith(("keras.", "kelbo."))
    activation = getattr(layer, "activation", None)
    return activation if is_known and callable(activation) else None


def _reals(tensor: keras.KerasTensor) -> _Probe:
    """Every real number, in every place of the tensor."""
    shape = tuple(tensor.shape[1:])
    size = math.prod(shape)
    tried = []
    for reach in _REACH:
        positive = np.geomspace(0.1, reach, 30)
        reals = np.concatenate([-positive[::-1], [0.0], positive])
        rows = 1 + math.ceil(4 * len(reals) / size)
        # In an order that puts very different numbers side by side, as softmax wants them.
        order = (23 * np.arange(rows * size)) % len(reals)
        tried.append(ops.convert_to_tensor(reals[order].reshape(rows, *shape).astype("float32")))
    return _Probe(tuple(tried), OutputRange())


def _after(before: list[_Probe], tried: list[Any], step: str, cure: str) -> _Probe:
    """The probe behind a step; the first step that bounds it is the one to be named."""
    arrays = [ops.convert_to_numpy(ops.cast(values, "float32")) for values in tried]
    if any(np.isnan(array).all() for array in arrays):
        raise ArithmeticError("The step gives nothing but NaN.")
    low, high = 0.0 - _largest([-array for array in arrays]), _largest(arrays)
    if low == -math.inf and high == math.inf:
        return _Probe(tuple(tried), OutputRange())
    earlier = next((probe.range for probe in before if probe.range.step), None)
    if earlier is not None:
        step, cure = earlier.step, earlier.cure
    return _Probe(tuple(tried), OutputRange(low, high, step, cure))


def _largest(arrays: list[np.ndarray]) -> float:
    near, far = (float(np.nanmax(array)) for array in arrays)
    if far == math.inf or (far > 0.0 and far > _GROWTH * near):
        return math.inf
    return far
