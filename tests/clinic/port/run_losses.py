"""Run scripts up to `fit`, and write down the losses of their models at given weights and noise.

Run as `python -m tests.clinic.port.run_losses JOBS.json RESULTS.json MODE`, MODE being eager or
graph, with the environment variables that choose the Keras. A job is the path of a script; its
result is the loss that `evaluate` gives for what `fit` was given, and in Keras 3 that of the model
that was saved and loaded; or the exception.
"""

import json
import os
import runpy
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np


class Reached(BaseException):
    """A script has come to `fit`."""


def constant_noise(shape, *args, **kwargs):
    if legacy():
        import tensorflow as tf

        return tf.fill(shape, 0.7)
    import keras

    return keras.ops.full(shape, 0.7)


def legacy():
    return os.environ.get("TF_USE_LEGACY_KERAS") == "1"


class Weights:
    """In the place of Keras's initializer: the same numbers for the same layers.

    Both scripts of a pair make their layers in the same order.
    """

    made = 0

    def __call__(self, shape, dtype=None, **kwargs):
        Weights.made += 1
        random = np.random.RandomState(Weights.made)
        return 0.5 * random.standard_normal(tuple(shape)).astype("float32")


def loss_after_loading(model, x, y):
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    if hasattr(model, "vae_loss"):  # a method of the script, which no file holds
        loaded.compile(loss=model.vae_loss, metrics=getattr(model, "vae_metrics", None))
    x = keras.ops.convert_to_tensor(x)
    y = None if y is None else keras.ops.convert_to_tensor(y)
    return float(loaded.compute_loss(x=x, y=y, y_pred=loaded(x)))


def losses_at_fit(model, path):
    np.random.seed(0)
    Weights.made = 0
    found = []

    def fit(self, x=None, y=None, **kwargs):
        value = self.evaluate(x, y, batch_size=8, verbose=0)
        found.append(float(value[0] if isinstance(value, list) else value))
        if not legacy():
            found.append(loss_after_loading(self, x, y))
        raise Reached

    before, model.fit = model.fit, fit
    try:
        runpy.run_path(path, run_name="__main__")
    except Reached:
        return found
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        model.fit = before
    return ["fit was not reached"]


def main(jobs, results, mode):
    warnings.simplefilter("ignore")
    model = None
    if legacy():
        import tensorflow as tf
        import tf_keras as keras
        from tensorflow.keras import backend

        tf.random.normal = backend.random_normal = constant_noise
        if mode == "graph":
            tf.compat.v1.disable_eager_execution()
            from tf_keras.src.engine.training_v1 import Model as model
    else:
        import keras

        keras.random.normal = constant_noise
    keras.initializers.GlorotUniform.__call__ = Weights.__call__
    model = model or keras.Model
    with open(jobs, encoding="utf-8") as file:
        paths = json.load(file)
    with open(results, "w", encoding="utf-8") as file:
        json.dump({path: losses_at_fit(model, path) for path in paths}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
