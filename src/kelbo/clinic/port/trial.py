"""The process that runs a ported script: `python -m kelbo.clinic.port.trial JOB RESULTS`.

A few steps on random numbers, of the shape and the type that the model declares, replace the
training, and as many random images replace a data set. Connections are refused, so that nothing is
downloaded.
"""

import json
import runpy
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kelbo.clinic.port.formula import Formula

_BATCH = 8
_STEPS = 3
# The data sets of Keras: the numbers of training and test images, and the shapes of an image and of
# a label. Scripts name these numbers, as in `x_train.reshape(60000, 784)`.
_IMAGES: dict[str, tuple[int, int, tuple[int, ...], tuple[int, ...]]] = {
    "mnist": (60_000, 10_000, (28, 28), ()),
    "fashion_mnist": (60_000, 10_000, (28, 28), ()),
    "cifar10": (50_000, 10_000, (32, 32, 3), (1,)),
    "cifar100": (50_000, 10_000, (32, 32, 3), (1,)),
}


class _Reached(BaseException):
    """The script has reached the training of its VAE."""


def main(job: str, results: str) -> None:
    """Run the script of a job and write down what was found."""
    content = json.loads(Path(job).read_text(encoding="utf-8"))
    formula = Formula.from_json(content["formula"]) if content["formula"] else None
    failure = (
        "the script trains no model that has a compute_loss, or whose layers add to the loss of "
        "compile, and no other loss is checked."
    )
    found: dict[str, Any] = {"failure": failure}
    adds = formula is not None and formula.layers
    train = keras.Model.fit

    def fit(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        written = "compute_loss" in content["code"]
        if "compute_loss" not in vars(type(self)) and (written or not adds):
            return keras.callbacks.History()  # for a model other than the VAE
        found.clear()
        given = args[0] if args else kwargs.get("x")
        found.update(_losses(self, formula, train, getattr(given, "shape", None)))
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
    model: keras.Model, formula: Formula | None, train: Any, given: tuple[int, ...] | None
) -> dict[str, Any]:
    """The loss of one batch by the model and by the formula, and those of a few steps."""
    ends = getattr(model, "inputs", None) or []  # a model of the script's own class has none
    shapes = [tuple(one.shape) for one in ends] or ([(None, *given[1:])] if given else [])
    several = len(ends) > 1
    if not shapes or any(None in shape[1:] for shape in shapes):
        return {"failure": f"the sizes of the model's input are not known: {shapes}."}
    random = np.random.default_rng(0)
    size = shapes[0][0] or _BATCH

    kinds = [one.dtype if keras.backend.is_int_dtype(one.dtype) else "float32" for one in ends] or [
        "float32"
    ]

    def made_up(shape: tuple[int, ...], kind: str) -> np.ndarray:
        sizes = size * _STEPS, *shape[1:]
        # A layer may look integers up in a table, and every table has a 0 and a 1.
        values = random.random(sizes) if kind == "float32" else random.integers(0, 2, sizes)
        return values.astype(kind)

    # The model reconstructs one of several inputs; the shape tells which.
    image = tuple(model.outputs[0].shape) if several else shapes[0]
    described = list(zip(shapes, kinds, strict=True))
    integers = {kind for shape, kind in described if shape[1:] == image[1:]} - {"float32"}
    data = made_up(image, min(integers, default="float32")).astype("float32")
    inputs = [
        data.astype(kind) if shape[1:] == image[1:] else made_up(shape, kind)
        for shape, kind in described
    ]
    batches = [keras.ops.convert_to_tensor(one[:size]) for one in inputs]
    x, batch = (batches, inputs) if several else (batches[0], inputs[0])
    with _activity_penalties(model) as penalties:
        outputs = model(x, training=False)
    target = keras.ops.convert_to_tensor(data[:size])
    loss = model.compute_loss(x=x, y=target, y_pred=outputs, training=False)
    numbers = keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)
    numbers = numbers if isinstance(numbers, list | tuple) else [numbers]
    # The original's formula leaves out what layers add. Keras 2 reported the mean of what has one
    # value for each datum.
    penalties += [_number(v.regularizer(v)) for v in model.trainable_weights if v.regularizer]
    added = sum(penalties)
    if formula is not None and formula.layers:
        added = sum(_number(keras.ops.mean(one)) for one in model.losses)
    losses = [train(model, batch, data, batch_size=size, verbose=0).history["loss"][-1]]
    if not np.all(np.isfinite(losses)):
        return {"failure": "the loss is not finite after three steps."}
    return {
        "loss": _number(loss),
        "expected": None if formula is None else formula(data[:size], numbers) + added,
        "trained": [float(value) for value in losses],
    }


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
