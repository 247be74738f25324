"""What an encoder masks: padding that must not count in p(x|z) either."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from kelbo.errors import UsageError


def mask_of(owner: str, network: keras.Model) -> keras.Model | None:
    """A model from x to the mask that the network makes of it, or None where it makes none.

    Keras hands a mask from layer to layer and not to a loss, so it is read off the network's graph.

    Args:
        owner: who asks, for the message.
        network: of one input, or of several, of which one is named "x".

    Returns:
        A model of x, (batch, *data_shape), to bool (batch, *the first axes of x).

    Raises:
        UsageError: a layer masks what is no longer x itself, so that nobody can tell which values
            of x are meant.
    """
    x = next((each for each in network.inputs if each.name == "x"), network.inputs[0])
    masks = []
    for layer in _mask_makers(network):
        if any(layer.input is each for each in network.inputs if each is not x):
            continue  # a condition's padding is not part of x
        mask: Any = getattr(layer.output, "_keras_mask", None)
        fits = mask is not None and tuple(mask.shape) == tuple(x.shape)[: len(mask.shape)]
        if layer.input is not x or not fits:
            raise UsageError(
                f"{owner}: the layer {layer.name!r} masks what other layers have made of x, so it "
                "is not known which values of x must not count in p(x|z). Put the Masking or "
                "Embedding(mask_zero=True) layer directly on the network's input."
            )
        masks.append(mask)
    if not masks:
        return None
    mask = masks[0]
    for other in masks[1:]:
        mask = keras.ops.logical_and(mask, other)
    return keras.Model(x, mask, name="observed")


def _mask_makers(network: keras.Model) -> Iterator[layers.Layer]:
    """The layers that make a mask, nested ones too, and do not merely pass one on."""
    for layer in network._flatten_layers(include_self=False):
        output = getattr(layer, "output", None)  # a layer inside another one may have none
        if isinstance(layer, keras.Model) or output is None:
            continue
        if any(_has_mask(each) for each in keras.tree.flatten(output)) and not any(
            _has_mask(each) for each in keras.tree.flatten(layer.input)
        ):
            yield layer


def _has_mask(tensor: keras.KerasTensor) -> bool:
    return getattr(tensor, "_keras_mask", None) is not None
