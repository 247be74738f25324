"""Look at a model by training it, and leave no trace."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

_ATTRIBUTES = ("optimizer", "train_function", "stop_training", "history")


@contextmanager
def unchanged(model: keras.Model, weights: Iterable[keras.Variable] = ()) -> Iterator[None]:
    """Put back, bit for bit, all that a training step changes.

    That is the weights, the state of the noise and of the metrics, the optimiser, and the compiled
    training step. The random state of the backend itself, from which a model without a
    `keras.random.SeedGenerator` draws, goes on.

    Args:
        model: a compiled model.
        weights: further ones, of networks that the model does not know as its own.
    """
    variables = [*model.variables, *model.metrics_variables, *weights]
    variables = list({id(variable): variable for variable in variables}.values())
    # A copy: on PyTorch and TensorFlow the array may be the variable's own memory.
    values = [np.array(ops.convert_to_numpy(variable), copy=True) for variable in variables]
    attributes = {name: getattr(model, name, None) for name in _ATTRIBUTES}
    try:
        with warnings.catch_warnings():
            # That no gradient arrives at a weight is what is measured.
            warnings.filterwarnings("ignore", message="Gradients do not exist")
            yield
    finally:
        for name, before in attributes.items():
            setattr(model, name, before)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
