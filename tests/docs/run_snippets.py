"""Run snippets in this process's Keras and write down what became of each.

Run as `python -m tests.docs.run_snippets JOBS.json RESULTS.json MODE`, MODE being eager or graph,
with the environment variables that choose the Keras. A job is {"setup": code, "snippet": code}.

The set-up's decoder starts at zero, so the first SGD step moves `mu` and `log_var` by the KL term
alone, and by a formula: with L = f w mean_batch(KL) and KL = -0.5 mean_d(1 + v - m^2 - e^v)

    dL/dm = f w m / (B d),   dL/dv = f w (e^v - 1) / (2 B d).

Measured is f, how often the KL term counts: 1, unless the snippet does something else than it says.
"""

import ast
import json
import re
import sys

import numpy as np

RATE = 0.01  # of Keras's "sgd"


def split(snippet):
    """All statements but the last, and the last, which trains."""
    *head, last = ast.parse(snippet).body
    lines = snippet.splitlines()
    return "\n".join(lines[: last.lineno - 1]), "\n".join(lines[last.lineno - 1 :])


def weights(model):
    """Kernel and bias of `mu`, kernel and bias of `log_var`."""
    layers = (model.get_layer(name) for name in ("mu", "log_var"))
    return [np.array(array) for layer in layers for array in layer.get_weights()]


def kl_factor(before, after, x, w):
    """f, and the greatest deviation from what f says, relative to the greatest gradient."""
    mu, log_var = x @ before[0] + before[1], x @ before[2] + before[3]
    by_mu = w * mu / mu.size
    by_log_var = w * (np.exp(log_var) - 1.0) / (2.0 * mu.size)
    expected = [x.T @ by_mu, by_mu.sum(0), x.T @ by_log_var, by_log_var.sum(0)]
    expected = np.concatenate([array.ravel() for array in expected])
    moved = [(old - new).ravel() / RATE for old, new in zip(before, after, strict=True)]
    actual = np.concatenate(moved)
    factor = float(actual @ expected / (expected @ expected))
    deviation = np.abs(actual - factor * expected).max() / np.abs(expected).max()
    return factor, float(deviation)


def first_loss(before, x, w, factor):
    """The loss of the first step: a decoder at zero says 0.5, which costs log 2 a pixel."""
    mu, log_var = x @ before[0] + before[1], x @ before[2] + before[3]
    kl = -0.5 * np.mean(1.0 + log_var - mu**2 - np.exp(log_var))
    return float(np.log(2.0) + factor * w * kl)


def run(setup, snippet):
    names = {"__name__": "snippet"}
    try:
        exec(setup, names)
        build, train = split(snippet)
        exec(build, names)
        try:
            before = weights(names["vae"])
        except NotImplementedError:  # Keras 3 in graph mode cannot even read a weight
            before = None
        history = eval(train, names).history
    except Exception as error:
        message = re.sub(r"\x1b\[\d*m", "", str(error))
        return {"raised": type(error).__name__, "message": message}
    factor, deviation = kl_factor(before, weights(names["vae"]), names["x"], names["w"])
    expected = first_loss(before, names["x"], names["w"], factor)
    shown = history.get("loss", [])
    return {"kl_factor": factor, "deviation": deviation, "expected": [expected], "shown": shown}


def main(jobs_path, results_path, graph):
    if graph == "graph":
        from tensorflow.python.framework.ops import disable_eager_execution

        disable_eager_execution()
    with open(jobs_path, encoding="utf-8") as file:
        jobs = json.load(file)
    results = [run(**job) for job in jobs]
    with open(results_path, "w", encoding="utf-8") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
