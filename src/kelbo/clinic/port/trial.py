"""The process that runs a ported script: `python -m kelbo.clinic.port.trial JOB RESULTS`.

A few steps on random numbers, of the shape and the type that the model declares, replace the
training, and as many random images replace a data set. Connections are refused, so that nothing is
downloaded.
"""

import json
import runpy
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kelbo.clinic.port.formula import LAYERS, PENALTIES, Formula

_BATCH = 8
_STEPS = 3
_MOST_ADDED = 3.0
_RANDOM = np.random.default_rng(0)
# The data sets of Keras: the numbers of training and test images, and the shapes of an image and of
# a label. Scripts name these numbers, as in `x_train.reshape(60000, 784)`.
_IMAGES: dict[str, tuple[int, int, tuple[int, ...], tuple[int, ...]]] = {
    "mnist": (60_000, 10_000, (28, 28), ()),
    "fashion_mnist": (60_000, 10_000, (28, 28), ()),
    "cifar10": (50_000, 10_000, (32, 32, 3), (1,)),
    "cifar100": (50_000, 10_000, (32, 32, 3), (1,)),
}


_OTHER_MODEL = (
    "the script trains no model that has a compute_loss, or whose layers add to the loss of "
    "compile, and no other loss is checked."
)
_NOTHING_TRAINED = (
    "the script trains no model: it ends without a call of fit or train_on_batch. Add lines that "
    "make the model, compile it and fit it, for instance to np.zeros of the shape of your data, "
    "for the check puts random numbers in their place."
)


class _Reached(BaseException):
    """The script has reached the training of its VAE."""


def main(job: str, results: str) -> None:
    """Run the script of a job and write down what was found."""
    content = json.loads(Path(job).read_text(encoding="utf-8"))
    formula = Formula.from_json(content["formula"]) if content["formula"] else None
    found: dict[str, Any] = {"failure": _NOTHING_TRAINED}
    adds = formula is not None and formula.added == LAYERS
    train = keras.Model.fit

    def fit(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        written = "compute_loss" in content["code"]
        if "compute_loss" not in vars(type(self)) and (written or not adds):
            found["failure"] = _OTHER_MODEL
            return keras.callbacks.History()  # for a model other than the VAE
        found.clear()
        given = dict(zip(("x", "y"), args, strict=False)) | kwargs
        data = _batch_of(given.get("x"), given.get("y"))
        found.update(_losses(self, formula, train, data, given.get("batch_size") or _BATCH))
        raise _Reached

    keras.Model.fit = keras.Model.train_on_batch = fit
    # It draws with Graphviz, which need not be installed, and no number depends on it.
    keras.utils.plot_model = lambda *args, **kwargs: None
    _refuse_connections()
    _make_up_data()
    sys.argv = [content["script"]]
    try:
        runpy.run_path(content["script"], run_name="__main__")
    except _Reached:
        pass
    except (Exception, SystemExit) as error:
        found["failure"] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    Path(results).write_text(json.dumps(found), encoding="utf-8")


def _losses(
    model: keras.Model, formula: Formula | None, train: Any, given: tuple[Any, Any], size: int
) -> dict[str, Any]:
    """The loss of one batch by the model and by the formula, and those of a few steps.

    Args:
        model: the model.
        formula: the original's loss.
        train: Keras's own fit.
        given: what the script fits the model to: the data and the targets, some or all.
        size: the size of a batch.
    """

    def made_up(one: Any) -> np.ndarray:
        array = np.asarray(one)
        return _random(array.shape[1:], str(array.dtype), size)

    ends = getattr(model, "inputs", None) or []  # a model of the script's own class has none
    if ends:
        size = ends[0].shape[0] or size
        shapes = [tuple(one.shape[1:]) for one in ends]
        if any(None in shape for shape in shapes):
            return {"failure": f"the sizes of the model's inputs are not known: {shapes}."}
        x, y = _for_inputs(model, ends, size)
    elif any(getattr(one, "shape", ()) for one in keras.tree.flatten(given[0])):
        x = keras.tree.map_structure(made_up, given[0])
        y = None if given[1] is None else keras.tree.map_structure(made_up, given[1])
    else:
        return {"failure": "it is not known what fit is given, so no data can be made up for it."}
    batch = {"x": x} if y is None else {"x": x, "y": y}
    batch = keras.tree.map_structure(lambda array: array[:size], batch)
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    with _activity_penalties(model) as penalties:
        outputs = model(tensors["x"], training=False)
    if formula is not None:
        outputs = _moved(outputs, formula)
    loss = model.compute_loss(**{"y": None, **tensors}, y_pred=outputs, training=False)
    numbers = _listed(keras.tree.map_structure(keras.ops.convert_to_numpy, outputs))
    added: Any = 0.0
    if formula is not None and formula.added == LAYERS:
        values = [keras.ops.convert_to_numpy(one) for one in model.losses]
        # Keras 2 reported the mean of what has one value for each datum; a tape sees them all.
        added = sum(map(np.mean, values)) if formula.total == "mean" else sum(values)
    elif formula is not None and formula.added == PENALTIES:
        penalties += [_number(v.regularizer(v)) for v in model.trainable_weights if v.regularizer]
        added = sum(penalties)
    losses = [train(model, x, y, batch_size=size, verbose=0).history["loss"][-1]]
    if not np.all(np.isfinite(losses)):
        return {"failure": "the loss is not finite after three steps."}
    return {
        "loss": _number(loss),
        "expected": None
        if formula is None
        else formula(batch["x"], batch.get("y"), numbers, added),
        "trained": [float(value) for value in losses],
    }


def _moved(outputs: Any, formula: Formula) -> Any:
    """The outputs of a model with random numbers added to all that are no reconstruction.

    mu and log_var may be 0 before training, and then no weight of the KL term is seen in the loss.
    """
    moved = []
    for path, leaf in keras.tree.flatten_with_path(_listed(outputs)):
        kind = keras.backend.standardize_dtype(leaf.dtype)
        if path not in formula.reconstructions and "float" in kind:
            added = _MOST_ADDED * _RANDOM.random(leaf.shape)
            leaf = leaf + keras.ops.convert_to_tensor(added, dtype=kind)
        moved.append(leaf)
    return keras.tree.pack_sequence_as(outputs, moved)


def _listed(outputs: Any) -> Any:
    """The outputs of a model in a list or a dict; a single one is the first."""
    return outputs if isinstance(outputs, list | tuple | dict) else [outputs]


def _batch_of(x: Any, y: Any) -> tuple[Any, Any]:
    """The data and the targets that fit is given; of a data set or a generator, its first batch."""
    if isinstance(x, keras.utils.PyDataset):
        first = x[0]
    elif hasattr(x, "__iter__") and not isinstance(x, list | tuple | dict | np.ndarray):
        first = next(iter(x))
    else:
        return x, y
    return keras.utils.unpack_x_y_sample_weight(first)[:2]


def _for_inputs(model: keras.Model, ends: list[Any], size: int) -> tuple[Any, Any]:
    """Random numbers for the inputs of a functional model, and the image among them as target."""
    # The model reconstructs one of several inputs; the shape tells which.
    image = model.outputs[0] if len(ends) > 1 else ends[0]
    images = [one for one in ends if one.shape[1:] == image.shape[1:]]
    kind = min((one.dtype for one in images if keras.backend.is_int_dtype(one.dtype)), default="f")
    data = _random(image.shape[1:], kind, size)
    inputs = [
        data.astype(one.dtype)
        if one.shape[1:] == image.shape[1:]
        else _random(one.shape[1:], one.dtype, size)
        for one in ends
    ]
    return inputs if len(ends) > 1 else inputs[0], data.astype("float32")


def _random(shape: Sequence[int], kind: str, size: int) -> np.ndarray:
    """Random numbers of a shape and a type, for a few batches of this size."""
    sizes = size * _STEPS, *shape
    if np.dtype(kind).kind in "iub":
        # A layer may look integers up in a table, and every table has a 0 and a 1.
        return _RANDOM.integers(0, 2, sizes).astype(kind)
    return _RANDOM.random(sizes).astype("float32")


def _number(value: Any) -> float:
    return float(keras.ops.convert_to_numpy(value))


@contextmanager
def _activity_penalties(model: keras.Model) -> Iterator[list[float]]:
    """Collect what the activity regularizers of a model add to the loss in this context."""
    penalties: list[float] = []

    def noting(regularizer: Any) -> Any:
        def penalty(output: Any) -> Any:
            value = regularizer(output)
            penalties.append(_number(value) / len(output))  # as Keras does, for each datum
            return value

        return penalty

    # Keras lists the layers within layers nowhere else.
    layers = [layer for layer in model._flatten_layers() if layer.activity_regularizer is not None]
    regularizers = [layer.activity_regularizer for layer in layers]
    for layer in layers:
        layer.activity_regularizer = noting(layer.activity_regularizer)
    yield penalties
    for layer, regularizer in zip(layers, regularizers, strict=True):
        layer.activity_regularizer = regularizer


def _refuse_connections() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError("the check downloads nothing; the script wanted to.")

    socket.socket.connect = refuse  # type: ignore[method-assign]


def _make_up_data() -> None:
    """Give the data sets of Keras random images and labels, made when the script asks for them."""
    random = np.random.default_rng(0)

    def loading(train: int, test: int, image: tuple[int, ...], label: tuple[int, ...]) -> Any:
        def made_up(count: int) -> tuple[np.ndarray, np.ndarray]:
            images = random.integers(0, 256, (count, *image), dtype="uint8")
            return images, random.integers(0, 10, (count, *label), dtype="uint8")

        return lambda *args, **kwargs: (made_up(train), made_up(test))

    for name, sizes in _IMAGES.items():
        getattr(keras.datasets, name).load_data = loading(*sizes)


if __name__ == "__main__":
    main(*sys.argv[1:])
