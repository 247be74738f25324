"""Run scripts in this process's Keras and write down what became of each.

Run as `python -m tests.clinic.doctor.run_fixtures JOBS.json RESULTS.json MODE`, MODE being eager or
graph, with the environment variables that choose the Keras. A job is the path of a script; its
result is "trains", or the exception.
"""

import functools
import json
import os
import re
import runpy
import sys
import warnings


def run(path):
    try:
        runpy.run_path(path, run_name="__main__")
    except Exception as error:
        message = re.sub(r"\x1b\[\d*m", "", str(error))
        return f"{type(error).__name__}: {message}"
    return "trains"


def do_not_optimise():
    """Let TensorFlow run graphs as they are: each runs a few times, and is optimised for longer."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def do_not_compile():
    """Let Keras 3 on TensorFlow train without XLA, for the same reason."""
    import keras

    compile_model = keras.Model.compile

    @functools.wraps(compile_model)
    def compile_plainly(self, *arguments, **options):
        return compile_model(self, *arguments, **{"jit_compile": False, **options})

    keras.Model.compile = compile_plainly


def main(jobs, results, mode):
    warnings.simplefilter("ignore")
    if mode == "eager" and os.environ["KERAS_BACKEND"] == "tensorflow":
        do_not_optimise()
        if "TF_USE_LEGACY_KERAS" not in os.environ:
            do_not_compile()
    if mode == "graph":
        from tensorflow.python.framework.ops import disable_eager_execution

        disable_eager_execution()
    with open(jobs, encoding="utf-8") as file:
        paths = json.load(file)
    with open(results, "w", encoding="utf-8") as file:
        json.dump({path: run(path) for path in paths}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
