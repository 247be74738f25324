"""Try one recipe in the interpreter that runs this file, and write down what was measured.

    python probe.py RECIPE.py PARITY.npz EAGER RESULT.json

`trial.py` starts it inside an environment of the lab, and `verdict.py` judges what it writes. It
imports nothing of kelbo and keeps to the syntax of Python 3.7, because it has to run beside
TensorFlow 1.15.

What a recipe trains is measured on its real training step: the model is compiled with plain
gradient descent, `train` is called with one batch, and the gradient is

    (weights before - weights after) / learning rate,

whatever the recipe, the framework and the mode are. Nothing of the recipe is taken apart, so
nothing can be measured that would not happen in a training.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import linecache
import os
import re
import sys
import traceback
from typing import Any, Callable, Dict

import numpy as np

Arrays = Dict[str, np.ndarray]

# A power of two: the division is exact. Large, so that the step dwarfs the rounding of the weights.
LEARNING_RATE = 1024.0

TRAINING = {"epochs": 3, "batch_size": 64}


def main(recipe_path: str, parity_path: str, eager: str, result_path: str) -> None:
    """Try the recipe and write the result as JSON, whole or not at all."""
    result: dict[str, Any] = {"stage": "environment"}
    try:
        set_mode(eager)
        result["versions"] = versions()
        result["stage"] = "import"
        recipe = load(recipe_path)
        with np.load(parity_path) as stored:
            parity = {name: stored[name] for name in stored.files}
        result["stage"] = "build"
        seed()
        measure_parity(recipe, parity, result)
        result["stage"] = "build for training"
        seed()
        measure_training(recipe, parity, result)
        result["stage"] = "done"
    except Exception as error:
        result["error"] = describe(error, recipe_path)
    with open(result_path + ".part", "w") as file:
        json.dump(result, file, indent=1)
    os.replace(result_path + ".part", result_path)


def set_mode(eager: str) -> None:
    """Switch eager execution as asked; without TensorFlow there is nothing to switch."""
    if eager == "off":
        # The article's own statement.
        from tensorflow.python.framework.ops import disable_eager_execution

        disable_eager_execution()
    elif eager == "on":
        import tensorflow as tf

        if not tf.executing_eagerly():  # TensorFlow 1
            tf.compat.v1.enable_eager_execution()
    if eager != "-":
        import tensorflow as tf

        # Or the lines of the recipe are cut out of the traceback.
        if hasattr(tf.debugging, "disable_traceback_filtering"):
            tf.debugging.disable_traceback_filtering()


def frameworks() -> tuple[Any, Any]:
    """TensorFlow or None, and the Keras that the recipes get."""
    try:
        import tensorflow as tf
        from tensorflow import keras
    except ImportError:
        import keras

        return None, keras
    return tf, keras


def versions() -> dict[str, str]:
    """Of everything that may matter."""
    tf, keras = frameworks()
    found = {"python": sys.version.split()[0], "numpy": np.__version__}
    # The tf.keras of TensorFlow 2.13 and later hides its version; the package behind it has one.
    packages = [sys.modules[name] for name in ("tf_keras", "keras") if name in sys.modules]
    modules = [keras, *packages]
    found["keras"] = next(m.__version__ for m in modules if hasattr(m, "__version__"))
    if tf is not None:
        found["tensorflow"] = tf.__version__
    if hasattr(keras, "config"):
        found["backend"] = keras.config.backend()
        framework = sys.modules[found["backend"]]
        found[found["backend"]] = framework.__version__
    return found


def load(path: str) -> Any:
    """The script as a module; what stands below its `__main__` does not run."""
    loader = importlib.machinery.SourceFileLoader("recipe", path)
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("recipe", loader))
    module.__file__ = path
    sys.modules["recipe"] = module
    loader.exec_module(module)
    return module


def seed() -> None:
    """Make the initial weights and the noise of the training repeatable."""
    tf, keras = frameworks()
    np.random.seed(0)
    if hasattr(keras.utils, "set_random_seed"):
        keras.utils.set_random_seed(0)
    elif tf is not None:
        tf.compat.v1.set_random_seed(0)


def measure_parity(recipe: Any, parity: Arrays, result: dict[str, Any]) -> None:
    """One step of plain gradient descent from given weights, with given noise."""
    tf, keras = frameworks()
    weights = group(parity, "weight")
    restore = fix_noise(tf, keras, parity["noise"])
    try:
        # As from its name: Keras 2.11 and later then choose an optimizer that the mode can use.
        config = {"class_name": "SGD", "config": {"learning_rate": LEARNING_RATE}}
        encoder, decoder, model = recipe.build(keras.optimizers.get(config))
        layers = {layer.name: layer for part in (encoder, decoder) for layer in part.layers}
        names = sorted({name.rpartition("/")[0] for name in weights})
        missing = [name for name in names if name not in layers]
        if missing:
            raise LookupError("The recipe has no layers named " + ", ".join(missing))
        for name in names:
            layers[name].set_weights([weights[name + "/kernel"], weights[name + "/bias"]])
        result["stage"] = "train"
        images = parity["images"]
        history = recipe.train(model, images, epochs=1, batch_size=len(images)).history
    finally:
        restore()
    gradient = {}
    for name in names:
        for kind, after in zip(("kernel", "bias"), layers[name].get_weights()):
            place = name + "/" + kind
            before = weights[place].astype("float64")
            gradient[place] = (before - after.astype("float64")) / LEARNING_RATE
    result["parity"] = compare(gradient, parity)
    result["parity"]["loss"] = next(iter(reported(history)), None)
    result["parity"]["reference_loss"] = float(parity["loss"])
    result["parity"]["reported"] = sorted(history)


def compare(gradient: Arrays, parity: Arrays) -> dict[str, Any]:
    """How far a gradient is from the reference, and how much of the KL's part is in it."""
    reference, plain = group(parity, "gradient"), group(parity, "plain")
    errors = {
        name: float(np.linalg.norm(gradient[name] - reference[name]))
        / float(np.linalg.norm(reference[name]))
        for name in reference
    }
    worst = max(errors, key=lambda name: (not np.isfinite(errors[name]), errors[name]))
    measured = {"gradient_error": errors[worst], "worst_weight": worst}
    heads = [name for name in reference if name.split("/")[0] in ("mu", "log_var")]
    if heads:
        kl = np.concatenate([(reference[name] - plain[name]).ravel() for name in heads])
        found = np.concatenate([(gradient[name] - plain[name]).ravel() for name in heads])
        # 1 where the KL's gradient arrives whole, 0 where it does not arrive.
        measured["kl_share"] = float(found @ kl / (kl @ kl))
        # What of it points elsewhere.
        rest = found - measured["kl_share"] * kl
        measured["kl_error"] = float(np.linalg.norm(rest) / np.linalg.norm(kl))
    return measured


def group(arrays: Arrays, kind: str) -> Arrays:
    """The arrays named KIND:NAME, by their NAME."""
    start = kind + ":"
    return {name[len(start) :]: arrays[name] for name in arrays if name.startswith(start)}


def fix_noise(tf: Any, keras: Any, noise: np.ndarray) -> Callable[[], None]:
    """Make every source of normal noise give `noise`, (1, latent_dim); return the way back.

    All rows get the same noise, so the order of the images in the batch does not matter.
    """

    def fixed(shape: Any, *arguments: Any, **options: Any) -> Any:
        if hasattr(keras, "ops"):
            return keras.ops.convert_to_tensor(noise)
        return tf.constant(noise)

    places = [(keras.backend, "random_normal")]
    if hasattr(keras, "random"):
        places.append((keras.random, "normal"))
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "random"):
        places.append((sys.modules["keras"].random, "normal"))
    if tf is not None:
        places.append((tf.random, "normal"))
    places = [place for place in places if hasattr(*place)]
    before = [getattr(*place) for place in places]
    for module, name in places:
        setattr(module, name, fixed)

    def restore() -> None:
        for (module, name), function in zip(places, before):
            setattr(module, name, function)

    return restore


def measure_training(recipe: Any, parity: Arrays, result: dict[str, Any]) -> None:
    """A short training as a reader would start it, but for its length."""
    _, _, model = recipe.build("adam")
    result["stage"] = "training"
    history = recipe.train(model, parity["train_images"], **TRAINING).history
    result["losses"] = reported(history)


def reported(history: dict[str, list[float]]) -> list[float]:
    """The total loss of each epoch as the recipe reports it; empty where it reports none."""
    name = "total_loss" if "total_loss" in history else "loss"
    return [float(value) for value in history.get(name, [])]


def describe(error: Exception, recipe_path: str) -> dict[str, Any]:
    """Class, message and the line of the recipe that raised it."""
    message = str(error)
    frames = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.abspath(frame.filename) == os.path.abspath(recipe_path)
    ]
    # AutoGraph raises anew and tells where it was in the message alone.
    name = re.escape(os.path.basename(recipe_path))
    inner = re.findall(name + r'(?:", line |:)(\d+)', message)
    line = int(inner[-1]) if inner else frames[-1] if frames else None
    described = {"type": type(error).__name__, "message": essence(message), "line": line}
    if line is not None:
        described["source"] = linecache.getline(recipe_path, line).strip()
    return described


def essence(message: str) -> str:
    """The line of an error that says what is wrong, without colours, addresses and paths."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    # "in user code:", frames, and then, indented, the error itself; inside it perhaps another.
    if re.search(r"^\s*in user code:", message, re.M):
        error = r"^\s+(?:\w+\.)*\w*(?:Error|Exception|NotImplemented\w*): "
        message = re.split(error, message, flags=re.M)[-1]
    message = message.rpartition("Error encountered:")[2]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    while len(lines) > 1 and re.match(
        r"(Exception encountered when calling|in user code)", lines[0]
    ):
        del lines[0]
    text = lines[0] if lines else ""
    text = re.sub(r"\b0x[0-9a-f]+\b", "0x...", text)
    return re.sub(r"(?<![\w:/])(/[\w.+-]+){2,}/", "", text)  # not of an address


if __name__ == "__main__":
    main(*sys.argv[1:])
