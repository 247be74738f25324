"""The one abstraction behind p(x|z) and q(z|x): context -> parameters -> distribution."""

import abc
from functools import cached_property
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
    its layers say, such as bfloat16; the conditional itself, and so every parameter, is float32.

    Args:
        network: a functional or sequential keras.Model from one context tensor (batch, *context),
            or from several with names, to one tensor, or several, that parameterise the
            distribution.

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

    @cached_property
    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each context without the batch axis, by the name of the network's input."""
        return {each.name: tuple(each.shape[1:]) for each in self.network.inputs}

    @property
    def inputs(self) -> Any:
        """The network's symbolic input, or a dict of them by name where there are several."""
        inputs = self.network.inputs
        return inputs[0] if len(inputs) == 1 else {each.name: each for each in inputs}

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Shape of the first context, without the batch axis."""
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

    def call(
        self, context: Tensor | dict[str, Tensor], training: bool | None = None
    ) -> dict[str, Tensor]:
        """Parameters of the distribution, (S..., batch, ...) each.

        Args:
            context: (S..., batch, *context); for a network of several inputs a dict of them by
                name, of which those without sample axes are repeated over S.
            training: handed on to the network. Keras would not do so on every backend.
        """
        shapes = self.context_shapes
        contexts = context if isinstance(context, dict) else {next(iter(shapes)): context}
        sample_shape, batch = self._sample_axes(contexts)
        folded = {
            name: self._folded(contexts[name], shape, sample_shape)
            for name, shape in shapes.items()
        }
        outputs = self.network(self._as_network_takes(folded), training=training)
        parameters = self.parameters([float32(each) for each in keras.tree.flatten(outputs)])
        if not sample_shape:
            return parameters
        return {
            name: ops.reshape(value, (*sample_shape, batch, *ops.shape(value)[1:]))
            for name, value in parameters.items()
        }

    def _as_network_takes(self, contexts: dict[str, Tensor]) -> Any:
        """Contexts by name, in the structure of the network's inputs."""
        sequential = isinstance(self.network, keras.Sequential)
        structure = self.network.inputs[0] if sequential else self.network.input
        if isinstance(structure, keras.KerasTensor):
            return contexts[structure.name]
        return keras.tree.map_structure(lambda each: contexts[each.name], structure)

    def _sample_axes(self, contexts: dict[str, Tensor]) -> tuple[tuple[Any, ...], Any]:
        """The sample axes of the context that has them, and the size of the batch."""
        found: tuple[tuple[Any, ...], Any] = (), None
        for name, shape in self.context_shapes.items():
            size = ops.shape(contexts[name])
            rank = len(size) - 1 - len(shape)
            if rank > len(found[0]) or found[1] is None:
                found = tuple(size[:rank]), size[rank]
        return found

    def _folded(
        self, context: Tensor, shape: tuple[int, ...], sample_shape: tuple[Any, ...]
    ) -> Tensor:
        """The sample axes folded into the batch: (S..., batch, *shape) -> (S * batch, *shape)."""
        if not sample_shape:
            return context
        if len(context.shape) == 1 + len(shape):
            context = ops.broadcast_to(context, (*sample_shape, *ops.shape(context)))
        return ops.reshape(context, (-1, *shape))

    def get_config(self) -> dict[str, Any]:
        """The network and the layer's own settings."""
        config = super().get_config()
        config["network"] = keras.saving.serialize_keras_object(self.network)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`: every value that is a serialised object is made anew."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                if isinstance(value, dict) and "class_name" in value and name != "dtype"
                else value
                for name, value in config.items()
            }
        )


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
