"""Leave out of the loss, for a while, what a model's networks add to it beside the ELBO."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kelbo.clinic.diagnosis.subject import Subject
from kelbo.model import LatentVariableModel


@contextmanager
def penalties_left_out(subject: Subject) -> Iterator[None]:
    """Train without regularisers and added losses: their gradients are no part of the ELBO's.

    In a model that is not kelbo's an added loss may be the KL itself, and so may a regulariser that
    is not Keras's own. Those stay.
    """
    layers = {
        id(layer): layer
        for part in (subject.model, *subject.parts)
        if part is not None
        for layer in part._flatten_layers()
    }
    is_of_kelbo = isinstance(subject.model, LatentVariableModel)
    with ExitStack() as stack:

        def replace(owner: Any, name: str, value: Any, back: Any) -> None:
            stack.callback(setattr, owner, name, back)
            setattr(owner, name, value)

        for layer in layers.values():
            if is_of_kelbo:
                stack.callback(delattr, layer, "add_loss")  # the class's own is left
                layer.add_loss = _add_nothing
            elif _is_of_keras(layer.activity_regularizer):
                replace(layer, "activity_regularizer", None, layer.activity_regularizer)
        for weight in subject.weights:
            regularizer = getattr(weight, "regularizer", None)
            if is_of_kelbo or _is_of_keras(regularizer):
                replace(weight, "regularizer", None, regularizer)
        yield


def _add_nothing(loss: Any) -> None:
    """Take the place of a layer's `add_loss`."""


def _is_of_keras(regularizer: Any) -> bool:
    """Whether it is one of Keras's own, of which none is a KL."""
    return type(regularizer).__module__.startswith("keras.")
