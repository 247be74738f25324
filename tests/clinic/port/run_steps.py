"""Run scripts that train a model named vae, at given weights and noise, and note the outcome.

Run as `python -m tests.clinic.port.run_steps JOBS.json RESULTS.json MODE`, with the environment
variables that choose the Keras; MODE is not used. A job is the path of a script. Its result is what
History holds of each name, the sum of each weight's absolute values after the training, and the
mean of what the script calls `predicted`, if anything; or the exception.
"""

import json
import runpy
import sys
import warnings

import numpy as np

from tests.clinic.port.run_losses import constant_noise, legacy


def weights_of_shape(self, shape, dtype=None, **kwargs):
    """In the place of Keras's initializer, whatever the order in which layers are built."""
    count = int(np.prod(shape))
    return (0.5 * np.sin(np.arange(count) ** 2 + len(shape))).reshape(shape).astype("float32")


def trained(path):
    np.random.seed(0)
    try:
        names = runpy.run_path(path, run_name="__main__")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    weights = [np.abs(_array(weight)).sum() for weight in names["vae"].trainable_weights]
    history = {k: [float(v) for v in values] for k, values in names["history"].history.items()}
    predicted = [names["predicted"]] if "predicted" in names else []
    return {
        "history": history,
        "weights": sorted(map(float, weights)),
        "predicted": [float(np.mean(one)) for one in predicted],
    }


def _array(weight):
    if legacy():
        return weight.numpy()
    import keras

    return keras.ops.convert_to_numpy(weight)


def main(jobs, results, mode):
    warnings.simplefilter("ignore")
    if legacy():
        import tensorflow as tf
        import tf_keras as keras

        tf.random.normal = constant_noise
    else:
        import keras

        keras.random.normal = constant_noise
    keras.initializers.GlorotUniform.__call__ = weights_of_shape
    with open(jobs, encoding="utf-8") as file:
        paths = json.load(file)
    with open(results, "w", encoding="utf-8") as file:
        json.dump({path: trained(path) for path in paths}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
