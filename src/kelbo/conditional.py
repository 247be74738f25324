"""The one abstraction behind p(x|z) and q(z|x): context -> parameters -> distribution."""

import abc
from typing import Any, Self

import keras
from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor, float32
from kelbo.errors import UsageError
from kelbo.precision import no_float16


class Conditional(keras.Layer, abc.ABC):
    """A conditional distribution p(value | context), made from any keras model.

    `call(context)` runs the network and returns the distribution's parameters as a dict of
    tensors, which Keras can trace, save and compile; `distribution(parameters)` makes the
    distribution of them. Sample axes in front of the batch axis are folded into it here, and
    nowhere else, because a keras model takes exactly one batch axis. The network computes in what
    its layers say, as bfloat16; the conditional itself, and so every parameter, is float32.

    Args:
        network: a functional or sequential keras.Model from one context tensor (batch, *context)
            to one tensor, or several, that parameterise the distribution.

    Raises:
        UsageError: the network is no such model, or computes in float16; or a dtype other than
            float32 is asked for.
    """

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(**float32_layer(type(self).__name__, kwargs))
        _check_network(type(self).__name__, network)
        self.network = network

    @property
    def compute_dtypes(self) -> set[str]:
        """What the layers of the network that have weights compute in."""
        return _compute_dtypes(self.network)

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Shape of one context, without the batch axis."""
        return tuple(self.network.inputs[0].shape[1:])

    @property
    @abc.abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value of the distribution, without the batch axis."""

    @property
    def event_rank(self) -> int:
        """The number of axes of one value."""
        return len(self.event_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of values, which Keras shows in `summary`."""
        return (None, *self.event_shape)

    @abc.abstractmethod
    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The distribution's parameters by name, from the network's outputs, batch first."""

    @abc.abstractmethod
    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The distribution with these parameters."""

    def build(self, input_shape: Any = None) -> None:
        """Make the weights; the shapes are the network's, whatever `input_shape` says."""
        self.built = True

    def call(self, context: Tensor) -> dict[str, Tensor]:
        """Parameters of the distribution: (S..., batch, *context) -> (S..., batch, ...) each."""
        context_shape = ops.shape(context)
        sample_shape = context_shape[: len(context_shape) - 1 - len(self.context_shape)]
        if not sample_shape:
            return self.parameters(self._outputs(context))
        batch = context_shape[len(sample_shape)]
        folded = ops.reshape(context, (-1, *self.context_shape))
        parameters = self.parameters(self._outputs(folded))
        return {
            name: ops.reshape(value, (*sample_shape, batch, *ops.shape(value)[1:]))
            for name, value in parameters.items()
        }

    def _outputs(self, context: Tensor) -> list[Tensor]:
        return [float32(output) for output in keras.tree.flatten(self.network(context))]

    def get_config(self) -> dict[str, Any]:
        """The network and the layer's own settings."""
        config = super().get_config()
        config["network"] = keras.saving.serialize_keras_object(self.network)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        config = dict(config)
        config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)


def float32_layer(owner: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a keras.Layer that computes probabilities, whatever Keras's global policy.

    Raises:
        UsageError: they ask for another dtype.
    """
    dtype = arguments.get("dtype")
    if dtype is not None and keras.dtype_policies.get(dtype).name != "float32":
        raise UsageError(
            f"{owner} received dtype={dtype!r}, but computes probabilities, always in float32. "
            "Precision belongs to the networks: give it to their layers, as "
            "kelbo.networks.conv_encoder(..., dtype='mixed_bfloat16'), or to a preset, or set "
            "keras.config.set_dtype_policy('mixed_bfloat16') before the networks are made."
        )
    return {**arguments, "dtype": "float32"}


def _compute_dtypes(network: keras.Model) -> set[str]:
    layers = (layer for layer in network._flatten_layers() if not isinstance(layer, keras.Model))
    return {layer.compute_dtype for layer in layers if layer.weights}


def _check_network(owner: str, network: Any) -> None:
    if not isinstance(network, keras.Model):
        raise UsageError(f"{owner} expected a keras.Model as network, received {network!r}.")
    if not getattr(network, "inputs", None):
        raise UsageError(
            f"{owner} needs a network whose shapes are known, but {network.name!r} has no inputs "
            "yet. Give a Sequential an Input layer first; wrap a subclassed model as "
            "keras.Model(inputs, model(inputs))."
        )
    if len(network.inputs) != 1:
        raise UsageError(
            f"{owner} expected a network with one input, but {network.name!r} has "
            f"{len(network.inputs)}."
        )
    # `outputs` is flat; only a functional model has `output`, in the structure that it returns.
    if isinstance(getattr(network, "output", None), dict):
        raise UsageError(
            f"{owner} expected a network with a tensor or a list of tensors as output, but "
            f"{network.name!r} returns a dict."
        )
    unknown = [t.shape for t in (*network.inputs, *network.outputs) if None in t.shape[1:]]
    if unknown:
        raise UsageError(
            f"{owner} needs a network whose shapes are fixed, but {network.name!r} has a tensor "
            f"of shape {unknown[0]}. Only the batch axis may be None."
        )
    if "float16" in _compute_dtypes(network):
        raise no_float16(f"the network {network.name!r}, which computes in it")
