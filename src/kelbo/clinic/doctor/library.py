"""What the doctor knows of Keras and the libraries beneath it: names, operations, shapes."""

import functools
import math
from collections.abc import Sequence

from kelbo.clinic.doctor.values import (
    Arguments,
    Constant,
    Instance,
    Items,
    Known,
    Shape,
    Size,
    Value,
    options,
)

# The modules in which Keras may be found, the longest names first.
_KERAS = (
    "tensorflow.compat.v1.keras",
    "tensorflow.compat.v2.keras",
    "tensorflow.python.keras",
    "tensorflow.keras",
    "tf_keras",
    "keras.api",
)
_TENSORFLOW = ("tensorflow.compat.v1", "tensorflow.compat.v2")

# Modules whose functions compute with tensors.
_MATHS = (
    "keras.activations.",
    "keras.backend.",
    "keras.ops.",
    "tensorflow.",
    "jax.",
    "torch.",
    "numpy.",
)

_ELEMENTWISE = {
    "exp": "exp",
    "square": "square",
    "log": "log",
    "sqrt": "sqrt",
    "abs": "abs",
    "absolute": "abs",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "relu": "relu",
    "clip": "clip",
    "clip_by_value": "clip",
    "clamp": "clip",
    "minimum": "clip",
    "maximum": "clip",
}
_ARITHMETIC = {
    "add": "+",
    "subtract": "-",
    "sub": "-",
    "multiply": "*",
    "mul": "*",
    "divide": "/",
    "truediv": "/",
    "pow": "**",
    "power": "**",
}
_REDUCTIONS = {"mean": "mean", "reduce_mean": "mean", "sum": "sum", "reduce_sum": "sum"}
_CASTS = {
    "cast",
    "convert_to_tensor",
    "stop_gradient",
    "identity",
    "constant",
    "variable",
    "asarray",
    "array",
    "float32",
}
_NOISE = {
    "keras.backend.random_normal": "normal",
    "keras.random.normal": "normal",
    "keras.random.truncated_normal": "normal",
    "tensorflow.random.normal": "normal",
    "tensorflow.random_normal": "normal",
    "tensorflow.random.truncated_normal": "normal",
    "numpy.random.normal": "normal",
    "numpy.random.randn": "normal",
    "numpy.random.standard_normal": "normal",
    "torch.randn": "normal",
    "torch.randn_like": "normal",
    "torch.normal": "normal",
    "jax.random.normal": "normal",
    "keras.backend.random_uniform": "uniform",
    "keras.random.uniform": "uniform",
    "tensorflow.random.uniform": "uniform",
    "tensorflow.random_uniform": "uniform",
    "numpy.random.uniform": "uniform",
    "numpy.random.rand": "uniform",
    "torch.rand": "uniform",
}
# Generators of random numbers; their methods have the names of the module's functions.
_GENERATORS = {"numpy.random.RandomState", "numpy.random.default_rng"}

# The names that Keras gives its losses, as functions, as classes and as strings.
_LOSSES = {
    "bce": "binary_crossentropy",
    "binary_crossentropy": "binary_crossentropy",
    "binarycrossentropy": "binary_crossentropy",
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "meansquarederror": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "meanabsoluteerror": "absolute_error",
}

# Reductions of a loss object that make the mean of the batch.
MEANS = ("auto", "mean", "sum_over_batch_size")

OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSprop", "SGD")
# Classes that scripts import with `from keras.callbacks import *` and the like.
_HOMES = {
    "callbacks": {
        "CSVLogger",
        "Callback",
        "EarlyStopping",
        "LearningRateScheduler",
        "ModelCheckpoint",
        "ReduceLROnPlateau",
        "TensorBoard",
    },
    "models": {"Model", "Sequential"},
    "optimizers": set(OPTIMIZERS),
}

# Layers whose output has the shape of their input.
_SAME_SHAPE = {
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Softmax",
    "ThresholdedReLU",
    "Add",
    "Average",
    "Multiply",
    "Subtract",
    "Rescaling",
}


# Arguments that change the shape of an image in ways that are not worked out.
_OF_OTHER_SHAPES = ("data_format", "dilation_rate", "output_padding", "keepdims", "dim_ordering")

# Arguments with which the layer ReLU is another function.
_OF_RELUS = {"max_value", "negative_slope", "threshold"}

# Layers whose outputs are values of their inputs.
_REARRANGES = {"Cropping2D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling2D"}

# Datasets of images with pixels from 0 to 255.
_DATASETS = {
    f"keras.datasets.{name}.load_data" for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")
}


@functools.lru_cache(10_000)
def canonical(spelled: str) -> str:
    """One name for all ways to import a thing: `tensorflow.keras.layers` is `keras.layers`."""
    for prefixes, name in ((_KERAS, "keras"), (_TENSORFLOW, "tensorflow")):
        for prefix in prefixes:
            if spelled == prefix or spelled.startswith(f"{prefix}."):
                return canonical(name + spelled[len(prefix) :])
    return spelled


def layer(name: str) -> str:
    """A layer's public name: `keras.layers.core.Dense` is `keras.layers.Dense`."""
    inner = name.startswith("keras.layers.")
    return f"keras.layers.{name.rpartition('.')[2]}" if inner else name


def home(name: str) -> str:
    """The module of Keras that has a class: "layers" unless another is known."""
    return next((module for module, names in _HOMES.items() if name in names), "layers")


def is_class(name: str) -> bool:
    """Whether a name is written like a class directly in a module of Keras."""
    return name.count(".") == 2 and name.rpartition(".")[2][:1].isupper()


def is_maths(name: str) -> bool:
    """Whether a function of a library computes with tensors."""
    return name.startswith(_MATHS)


def elementwise(name: str) -> str | None:
    """The elementwise operation of a function, "exp" for `tensorflow.math.exp`; else None."""
    return _ELEMENTWISE.get(name.rpartition(".")[2]) if is_maths(name) else None


def arithmetic(name: str) -> str | None:
    """The operator that a function stands for, "+" for `tensorflow.add`; else None."""
    return _ARITHMETIC.get(name.rpartition(".")[2]) if is_maths(name) else None


def reduction(name: str) -> str | None:
    """How a function reduces axes, "sum" or "mean"; None if it does not."""
    return _REDUCTIONS.get(name.rpartition(".")[2]) if is_maths(name) else None


def is_cast(name: str) -> bool:
    """Whether a function returns the value of its first argument."""
    return name.rpartition(".")[2] in _CASTS and is_maths(name)


def is_dataset(name: str) -> bool:
    """Whether a function loads images with pixels from 0 to 255, and their labels."""
    return name in _DATASETS


def rearranges(name: str) -> bool:
    """Whether a function, or a method of an array, leaves every number as it is."""
    head, _, last = name.rpartition(".")
    return head in ("", "numpy") and last in ("astype", "copy", "expand_dims", "reshape", "squeeze")


def joins(name: str) -> bool:
    """Whether a function concatenates arrays."""
    return name in ("numpy.concatenate", "numpy.vstack")


def splits(name: str) -> bool:
    """Whether a function cuts a tensor into parts."""
    return is_maths(name) and name.rpartition(".")[2] in ("chunk", "split", "unstack")


def flattens_the_batch(name: str, arguments: Arguments) -> bool:
    """Whether a function flattens all axes into one, the batch included."""
    if name == "keras.backend.flatten":
        return True
    reshapes = name in ("keras.ops.reshape", "tensorflow.reshape")
    return reshapes and sizes(arguments.get(1, "newshape", "shape")) == (-1,)


def noise(name: str) -> str | None:
    """The distribution that a function draws from; None if it draws nothing."""
    return _NOISE.get(name)


def generator(name: str) -> str | None:
    """The module that has the functions of a generator, by the name of its constructor."""
    return name.rpartition(".")[0] if name in _GENERATORS else None


def loss_kind(name: str) -> str | None:
    """What a loss of Keras measures, by its name: "bce", "keras.losses.MeanSquaredError"."""
    return _LOSSES.get(name.rpartition(".")[2].lower())


def elementwise_loss(name: str) -> str | None:
    """What a function measures if it returns a value for each element; else None."""
    if name in ("keras.backend.binary_crossentropy", "keras.ops.binary_crossentropy"):
        return "binary_crossentropy"
    if name == "tensorflow.nn.sigmoid_cross_entropy_with_logits":
        return "binary_crossentropy"
    return None


def mean_loss(name: str) -> str | None:
    """What a function measures if it averages over the last axis; else None."""
    head = name.rpartition(".")[0]
    if head in ("keras.losses", "keras.metrics", "keras.objectives", "tensorflow.losses"):
        return loss_kind(name)
    return None


def volume(sizes: Sequence[Size]) -> int | None:
    """The number of elements of these sizes, without the batch; None if it cannot be told."""
    product = 1
    for size in sizes:
        inner = volume(size) if isinstance(size, tuple) else size
        if isinstance(size, tuple) and inner is None:
            return None
        product *= 1 if inner is None else inner
    return product


def has_batch(size: Size) -> bool:
    """Whether an axis is the batch, or was flattened together with it."""
    return size is None or (isinstance(size, tuple) and any(map(has_batch, size)))


def broadcast(first: Shape | None, second: Shape | None) -> Shape | None:
    """The shape of an elementwise operation; None if it cannot be told."""
    if first is None or second is None:
        return None
    if len(first) < len(second):
        first, second = second, first
    padded = (1,) * (len(first) - len(second)) + second
    sizes: list[Size] = []
    for one, other in zip(first, padded, strict=True):
        if one != other and 1 not in (one, other):
            return None
        sizes.append(other if one == 1 else one)
    return tuple(sizes)


def reduced(shape: Shape | None, axes: tuple[int, ...] | None, keepdims: bool) -> Shape | None:
    """The shape after a reduction."""
    if axes is None and not keepdims:
        return ()
    if shape is None:
        return None
    gone = set(range(len(shape))) if axes is None else {axis % len(shape) for axis in axes if shape}
    if keepdims:
        return tuple(1 if place in gone else size for place, size in enumerate(shape))
    return tuple(size for place, size in enumerate(shape) if place not in gone)


def whole(value: Value | None) -> int | None:
    """The integer that a value is, or None."""
    if isinstance(value, Constant) and isinstance(value.value, int | float):
        number = value.value
        if not isinstance(number, bool) and math.isfinite(number) and number == int(number):
            return int(number)
    return None


def sizes(value: Value | None) -> tuple[int, ...] | None:
    """The integers in a tuple, or a single one as a tuple; None if they cannot be told."""
    if isinstance(value, Items):
        numbers = [whole(item) for item in value.items]
        return None if None in numbers else tuple(n for n in numbers if n is not None)
    number = whole(value)
    return None if number is None else (number,)


def text(value: Value | None) -> str | None:
    """The string that a value is, or None."""
    return value.value if isinstance(value, Constant) and isinstance(value.value, str) else None


def activation(layer: str, arguments: Arguments) -> str | None:
    """The name of the activation that a layer ends in, "linear" included; None if unknown."""
    last = layer.rpartition(".")[2]
    if last == "ReLU" and (arguments.positional or dict(arguments.keywords).keys() & _OF_RELUS):
        return None
    if last in ("LeakyReLU", "ReLU", "ELU", "PReLU", "Softmax"):
        return last.lower()
    value = arguments.get(0 if last == "Activation" else None, "activation")
    if value is None and last == "Dense":
        value = arguments.get(1)
    if value is None:
        few = len(arguments.positional) <= 4
        return "linear" if few and (last == "Dense" or last.startswith("Conv")) else None
    names = {_activation_name(option) for option in options(value)}
    return names.pop() if len(names) == 1 else None


def _activation_name(value: Value) -> str | None:
    if isinstance(value, Constant):
        return "linear" if value.value is None else text(value)
    name = getattr(value.of if isinstance(value, Instance) else value, "name", "")
    library = isinstance(value, Known | Instance) and "." in name
    return name.rpartition(".")[2].lower() if library else None


def keeps_values(layer: str) -> bool:
    """Whether the outputs of a layer are values of its inputs."""
    return layer.rpartition(".")[2] in _REARRANGES


def output_shape(layer: str, arguments: Arguments, shape: Shape | None) -> Shape | None:
    """The output shape of a layer for an input shape; None if it cannot be told."""
    last = layer.rpartition(".")[2]
    if last == "Dense":
        units = whole(arguments.get(0, "units", "output_dim"))
        return None if units is None else ((*shape[:-1], units) if shape else (None, units))
    if last == "Reshape":
        target = sizes(arguments.get(0, "target_shape"))
        return None if target is None or -1 in target else (None, *target)
    if last in ("Embedding", "LSTM", "GRU", "SimpleRNN", "Lambda", "Concatenate"):
        return None
    if shape is None:
        return None
    if last == "Flatten":
        count = volume(shape[1:])
        return None if count is None else (None, count)
    if last in _SAME_SHAPE:
        return shape
    if len(shape) == 4 and all(isinstance(size, int) for size in shape[1:]):
        return _images(last, arguments, (shape[1], shape[2], shape[3]))  # type: ignore[arg-type]
    return None


def _images(last: str, arguments: Arguments, image: tuple[int, int, int]) -> Shape | None:
    others = (arguments.get(None, name) for name in _OF_OTHER_SHAPES)
    if any(other is not None and text(other) != "channels_last" for other in others):
        return None
    height, width, channels = image
    if last.startswith("GlobalAverage") or last.startswith("GlobalMax"):
        return (None, channels)
    convolution = last in ("Conv2D", "Convolution2D", "SeparableConv2D")
    if convolution or last in ("Conv2DTranspose", "Deconvolution2D"):
        filters = whole(arguments.get(0, "filters", "nb_filter"))
        kernel = _pair(arguments.get(1, "kernel_size"))
        strides = _pair(arguments.get(2, "strides", "subsample"), 1)
    elif last in ("MaxPooling2D", "AveragePooling2D", "MaxPool2D", "AvgPool2D"):
        filters, convolution = channels, True
        kernel = _pair(arguments.get(0, "pool_size"), 2)
        given = arguments.get(1, "strides")
        strides = kernel if given is None else _pair(given)
    elif last == "UpSampling2D":
        factor = _pair(arguments.get(0, "size"), 2)
        return None if factor is None else (None, height * factor[0], width * factor[1], channels)
    else:
        return None
    if filters is None or kernel is None or strides is None or 0 in strides:
        return None
    place = 2 if "Pool" in last else 3
    padding = text(arguments.get(place, "padding", "border_mode") or Constant("valid"))
    if padding is None:
        return None
    same = padding.lower() == "same"
    lengths = []
    for length, window, stride in zip((height, width), kernel, strides, strict=True):
        if convolution:
            lengths.append(-(-length // stride) if same else -(-(length - window + 1) // stride))
        else:
            lengths.append(length * stride if same else length * stride + max(window - stride, 0))
    return (None, *lengths, filters)


def _pair(value: Value | None, default: int | None = None) -> tuple[int, int] | None:
    if value is None:
        return None if default is None else (default, default)
    numbers = sizes(value)
    if numbers is None or len(numbers) not in (1, 2):
        return None
    return (numbers[0], numbers[-1])
