"""Look at a model by training it, and leave no trace."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from keras import ops
from keras.optimizers import Optimizer

from kelbo.clinic.diagnosis.subject import Subject

_ATTRIBUTES = ("optimizer", "train_function", "stop_training", "history")


@contextmanager
def unchanged(subject: Subject) -> Iterator[None]:
    """Put back, bit for bit, all that passes through a model and a training step change.

    That is the weights, the state of the noise and of the metrics, the optimiser, and the compiled
    training step. The random state of the backend itself, from which a model without a
    `keras.random.SeedGenerator` draws, goes on.
    """
    model = subject.model
    variables = [] if model is None else [*model.variables, *model.metrics_variables]
    # Of optimisers that the model keeps beside that of compile.
    held = [] if model is None else vars(model).values()
    variables += [v for one in held if isinstance(one, Optimizer) for v in one.variables]
    # Of parts that the model does not know as its own.
    variables += [variable for part in subject.parts for variable in part.variables]
    variables = list({id(variable): variable for variable in variables}.values())
    # A copy: on PyTorch and TensorFlow the array may be the variable's own memory.
    values = [np.array(ops.convert_to_numpy(variable), copy=True) for variable in variables]
    attributes = {name: getattr(model, name) for name in _ATTRIBUTES if hasattr(model, name)}
    try:
        with warnings.catch_warnings():
            # That no gradient arrives at a weight is what is measured.
            warnings.filterwarnings("ignore", message="Gradients do not exist")
            yield
    finally:
        for name in _ATTRIBUTES:
            if name in attributes:
                setattr(model, name, attributes[name])
            elif hasattr(model, name):
                delattr(model, name)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


@contextmanager
def state_kept(subject: Subject) -> Iterator[None]:
    """Put back what a pass through the networks changes: the state of noise, moving averages.

    So every pass drops the same units and draws the same noise as the one before.
    """
    states = [variable for part in subject.parts for variable in part.non_trainable_variables]
    values = [np.array(ops.convert_to_numpy(state), copy=True) for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, values, strict=True):
            state.assign(value)


@contextmanager
def in_float32(subject: Subject) -> Iterator[None]:
    """Let the networks of a model in mixed precision compute in float32, as their weights are.

    It is the same function, without the rounding. A compiled training step must be compiled anew.
    """
    # Layers inside layers of a person's own are in no public list.
    layers = {
        id(layer): layer
        for part in (subject.model, *subject.parts)
        if part is not None
        for layer in part._flatten_layers()
    }
    policies = [
        (layer, layer.dtype_policy)
        for layer in layers.values()
        if layer.compute_dtype != layer.variable_dtype == "float32"
    ]
    try:
        for layer, _ in policies:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in policies:
            layer.dtype_policy = policy
