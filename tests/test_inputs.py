"""What is no data ends in kelbo's own sentence, with the way out."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import DataError, KelboError, UsageError
from kelbo.inputs import check_target_shape
from tests.support import data, tiny_vae

SHAPE = (3, 2, 1)
X = data(6)


def compiled(**kwargs):
    model = tiny_vae(**kwargs)
    model.compile("sgd")
    return model


class Sparse:
    shape, dtype = (6, 6), np.dtype("float32")


Sparse.__module__ = "scipy.sparse._csr"

REFUSED = {
    "class_weight": (lambda m: m.fit(X, class_weight={0: 1.0}), "sample_weight=weights"),
    "sparse": (lambda m: m.fit(Sparse()), "x.toarray"),
    "dict": (lambda m: m.fit({"image": X}), r"received a dict with 'image'.*fit\(data\['image'\]"),
    "tuple": (lambda m: m.fit((X,)), "received a tuple of 1.*call fit"),
    "pair": (lambda m: m.fit((X, X)), "received a tuple of 2.*call fit"),
    "list": (lambda m: m.fit([X, X]), "received a list of 2. Use numpy.asarray"),
    "numbers": (lambda m: m.fit([1.0, 2.0]), "received a list. Use numpy.asarray"),
    "none": (lambda m: m.fit(None), r"received None. Call fit\(x\)"),
    "none-evaluated": (lambda m: m.evaluate(None), r"received None. Call evaluate\(x\)"),
    "one-datum": (lambda m: m.encode(X[0]), r"use x\[None\]"),
    "one-datum-predicted": (lambda m: m.reconstruct(X[0]), r"use x\[None\]"),
    "flat": (lambda m: m.fit(X.reshape(6, 6)), r"Use x.reshape\(-1, 3, 2, 1\)"),
    "empty": (lambda m: m.fit(X[:0]), "at least one datum"),
    "objects": (lambda m: m.fit(np.array([["a"]], dtype=object)), "Expected numbers"),
    "conditions-of-samples": (lambda m: m.sample(2, context={"c": X}), "conditions none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_the_way_out(name):
    work, message = REFUSED[name]
    with pytest.raises(KelboError, match=message) as caught:
        work(compiled())
    assert isinstance(caught.value, DataError | UsageError)


def test_tensors_of_every_framework_that_is_installed_are_data():
    model = compiled()
    for tensor in _tensors():
        expected = model.encode(X)["mu"]
        np.testing.assert_allclose(model.encode(tensor)["mu"], expected, rtol=1e-4, atol=1e-5)
        assert np.isfinite(model.fit(tensor, verbose=0).history["loss"]).all()
        assert model.log_likelihood(tensor, 3).shape == (6,)


def _tensors():
    """X as a tensor of the backend's own and of PyTorch, whatever the backend."""
    import torch

    yield keras.ops.convert_to_tensor(X)
    yield torch.tensor(X, requires_grad=True).detach()


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((None, None, 2, 1), True), ((5, 3, 2, 1), True), ((None, None, 3, 1), False), ((5,), False)],
)
def test_a_target_may_have_sizes_that_are_not_known_yet(sizes, fits):
    target = keras.KerasTensor(sizes)
    if fits:
        check_target_shape("VAE", target, SHAPE)
    else:
        with pytest.raises(DataError, match="learns from x alone"):
            check_target_shape("VAE", target, SHAPE)


class Cycle(keras.optimizers.schedules.LearningRateSchedule):
    """Beta goes up and down for ever."""

    def __call__(self, step):
        return 0.5 + 0.5 * keras.ops.sin(keras.ops.cast(step, "float32") / 10.0)

    def get_config(self):
        return {}


@pytest.mark.parametrize(
    ("beta", "words"),
    [
        (1.0, "effective beta 1"),
        (kelbo.LinearWarmup(5, 2.0), "effective beta 2 at the end of its schedule"),
        (Cycle(), "effective beta 0.5 at first, on a schedule that never settles"),
        (
            keras.optimizers.schedules.InverseTimeDecay(4.0, 10, 1.0),
            "at the end of its schedule",
        ),
    ],
    ids=["number", "warm-up", "cycle", "decay"],
)
def test_what_is_said_of_beta_is_true_of_its_schedule(beta, words):
    model = tiny_vae(objective=kelbo.ELBO(beta))
    assert words in model.describe_training()
