"""Files of earlier versions still load, and say the same: see tests/saved."""

import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import RunError
from kelbo.runs import RunDirectory
from kelbo.training.configuration import Configuration
from tests.support import to_numpy

SAVED = Path(__file__).parent / "saved" / "0.1.0"


def test_a_model_of_0_1_0_says_what_it_said():
    model, known = kelbo.load_model(SAVED / "iwae.keras"), np.load(SAVED / "iwae.npz")
    np.testing.assert_allclose(model.encode(known["x"])["mu"], known["mu"], rtol=1e-4, atol=1e-5)
    reconstruction = model.reconstruct(known["x"])
    np.testing.assert_allclose(reconstruction, known["reconstruction"], rtol=1e-4, atol=1e-5)
    if keras.backend.backend() == "jax":  # where the draws were made
        bound = model.log_likelihood(known["x"], 10, 40, 0)
        np.testing.assert_allclose(bound, known["bound"], rtol=1e-4)
    assert model.objective.num_samples == 3


def test_a_model_of_0_1_0_trains_on_where_it_was():
    model, x = kelbo.load_model(SAVED / "iwae.keras"), np.load(SAVED / "iwae.npz")["x"]
    assert int(to_numpy(model.optimizer.iterations)) == 10
    moments = [to_numpy(variable) for variable in model.optimizer.variables[2:]]
    assert all(np.any(moment) for moment in moments)
    shapes = [tuple(each.shape) for each in model.trainable_variables for _ in range(2)]
    assert sorted(shapes) == sorted(moment.shape for moment in moments)
    model.fit(x, batch_size=8, verbose=0)
    assert int(to_numpy(model.optimizer.iterations)) == 15


def test_a_model_of_0_1_0_that_is_refused_today_says_why(tmp_path):
    path = tmp_path / "tanh.keras"
    with zipfile.ZipFile(SAVED / "iwae.keras") as saved, zipfile.ZipFile(path, "w") as changed:
        for name in saved.namelist():
            content = saved.read(name)
            if name == "config.json":  # the decoder's last activation is the last that is named
                head, linear, rest = content.rpartition(b'"activation": "linear"')
                content = head + linear.replace(b"linear", b"tanh") + rest
            changed.writestr(name, content)
    with pytest.raises(RunError, match="is refused.*activation tanh of the layer 'dec_output_2'"):
        kelbo.load_model(path)


def test_a_run_of_0_1_0_is_opened_with_its_configuration_and_its_schedule(tmp_path):
    shutil.copytree(SAVED / "run", tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    configuration = Configuration.from_toml(run.read_config(), "config.toml")
    assert (configuration.preset, configuration.network) == ("beta-vae", "mlp")
    model = kelbo.load_model(run.model_file())
    assert int(to_numpy(model.training_steps)) == 8
    assert model.effective_beta == model.current_beta == pytest.approx(2.0)
    assert model.sample(2, seed=0).shape == (2, 4, 4, 1)
    assert run.read_json("evaluation.json")["elbo"] == pytest.approx(-11.858, abs=1e-3)
