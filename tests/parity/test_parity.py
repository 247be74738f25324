"""The backends agree with one another, and with NumPy in float64, on losses and gradients."""

import numpy as np
import pytest

import kelbo
from kelbo.backends.choice import BACKENDS
from tests.parity import reference
from tests.parity.worker import CASES, batch
from tests.processes import python
from tests.support import LATENT, noise

cases = pytest.mark.parametrize("case", CASES, ids="-".join)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The file of what each backend computed, by its name; its model lies beside it."""
    files = {}
    for backend in BACKENDS:
        path = tmp_path_factory.mktemp("parity") / f"{backend}.npz"
        run = python("-m", "tests.parity.worker", path, KERAS_BACKEND=backend)
        assert run.returncode == 0, run.stderr
        files[backend] = path
    return files


@pytest.fixture(scope="module")
def results(files):
    """What each backend computed, by its name."""
    return {backend: dict(np.load(path)) for backend, path in files.items()}


def of_kind(result, case, kind):
    """{weight's name: value} of one case."""
    prefix = "|".join((*case, kind, ""))
    return {key[len(prefix) :]: value for key, value in result.items() if key.startswith(prefix)}


def numpy_loss(case):
    network, *rest = case
    x = batch(network).astype("float64")
    samples = (3,) if case[-1] == "iwae" else ()
    epsilon = noise((*samples, len(x), LATENT)).astype("float64")
    return lambda weights: reference.loss(getattr(reference, network), *rest, weights, x, epsilon)


def assert_close(actual, expected, tolerance):
    """Equal, relative to the largest gradient of the same weight."""
    assert set(actual) == set(expected)
    for name, value in expected.items():
        error = np.abs(actual[name] - value).max() / np.abs(value).max()
        assert error < tolerance, f"{name}: {error}"


@cases
def test_the_backends_agree(results, case):
    first, *others = results.values()
    key = "|".join((*case, "loss"))
    for other in others:
        for name, weight in of_kind(first, case, "weight").items():
            np.testing.assert_array_equal(of_kind(other, case, "weight")[name], weight)
        assert other[key] == pytest.approx(first[key], rel=1e-5)
        gradients = (of_kind(result, case, "gradient") for result in (other, first))
        assert_close(*gradients, tolerance=1e-5)


@cases
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_agrees_with_numpy(results, case, backend):
    result, loss = results[backend], numpy_loss(case)
    weights = of_kind(result, case, "weight")
    assert result["|".join((*case, "loss"))] == pytest.approx(loss(weights), rel=1e-5)
    expected = reference.gradients(loss, weights)
    assert_close(of_kind(result, case, "gradient"), expected, tolerance=2e-5)


@pytest.mark.parametrize("writer", BACKENDS)
def test_a_file_of_one_backend_loads_on_another(files, writer):
    model = kelbo.load_model(files[writer].with_suffix(".keras"))
    expected = np.load(files[writer])["reconstruction"]
    np.testing.assert_allclose(model.reconstruct(batch("conv")), expected, rtol=1e-5)
