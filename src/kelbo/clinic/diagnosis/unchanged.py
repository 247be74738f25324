"""Train a model for a measurement, and restore it."""

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
    """Restore a model, bit for bit, after passes and training steps.

    The weights, the state of the noise and of the metrics, the optimiser and the compiled training
    step are restored. The global random state of the backend, from which a model without a
    `keras.random.SeedGenerator` draws, is not.
    """
    model = subject.model
    variables = [] if model is None else [*model.variables, *model.metrics_variables]
    # The model may keep optimisers beside that of compile.
    held = [] if model is None else vars(model).values()
    variables += [v for one in held if isinstance(one, Optimizer) for v in one.variables]
    # The model may not know every part as its own.
    variables += [variable for part in subject.parts for variable in part.variables]
    variables = list({id(variable): variable for variable in variables}.values())
    # A copy: on PyTorch and TensorFlow the array may be the variable's own memory.
    values = [np.array(ops.convert_to_numpy(variable), copy=True) for variable in variables]
    attributes = {name: getattr(model, name) for name in _ATTRIBUTES if hasattr(model, name)}
    try:
        with warnings.catch_warnings():
            # A weight without a gradient is a result here.
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
    """Restore what a pass through the networks changes: the state of noise, moving averages.

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
    """Let the networks of a model in mixed precision compute in the float32 of their weights.

    The function is the same but for rounding. A compiled training step must be compiled anew.
    """
    # No public list has the layers inside a layer of the user's own.
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
