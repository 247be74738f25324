"""What the last step of a network gives."""

import keras
from keras import layers

# Layers that move values about and leave them as they are.
_MOVERS = (layers.Reshape, layers.Flatten, layers.Permute, layers.Cropping1D, layers.Cropping2D)


def ends_in_sigmoid(network: keras.Model) -> bool:
    """Whether the last step of a network of any kind is a sigmoid: its output are probabilities."""
    # A functional model lists plain operations, such as keras.ops.sigmoid, beside its layers.
    for step in reversed(getattr(network, "operations", network.layers)):
        if isinstance(step, keras.Model):
            return ends_in_sigmoid(step)
        if not isinstance(step, _MOVERS):
            activation = getattr(step, "activation", None)
            return activation is keras.activations.sigmoid or type(step).__name__ == "Sigmoid"
    return False
