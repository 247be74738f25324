"""A row of published figures: its recipe, and a training that is stopped and goes on."""

import keras
import numpy as np
import pytest

import kelbo
from benchmarks import science
from tests.support import weights


def tiny(mean_image):
    shape = mean_image.shape
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(kelbo.networks.mlp_encoder(shape, (4,)), 2),
        kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(shape, 2, None, (4,))),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


STAGES = (science.Stage(1, 1e-2), science.Stage(2, 1e-3))
ROW = science.Row(tiny, STAGES, 5, True, 0.0, 1.0, "none")


def grey(n=20):
    return np.random.default_rng(0).random((n, 3, 3, 1), "float32")


class Stop(Exception):
    pass


def test_a_training_that_was_stopped_ends_where_an_uninterrupted_one_ends(tmp_path, monkeypatch):
    whole = science.Training(ROW, tmp_path / "whole", grey())
    whole.run(1.0, 2)
    stopped = science.Training(ROW, tmp_path / "stopped", grey())
    monkeypatch.setattr(science, "KEEP_EVERY", -1.0)  # after every epoch
    fit = stopped.vae.fit
    left = iter([True, True])

    def until_stopped(*arguments, **options):
        if not next(left, False):
            raise Stop
        return fit(*arguments, **options)

    stopped.vae.fit = until_stopped
    with pytest.raises(Stop):
        stopped.run(1.0, 2)
    resumed = science.Training(ROW, tmp_path / "stopped", grey())
    assert resumed.state["epochs"] == 2
    resumed.run(1.0, 2)
    assert resumed.state["steps"] == whole.state["steps"] == 12
    assert float(resumed.vae.optimizer.learning_rate) == pytest.approx(1e-3)
    for one, other in zip(weights(whole.vae), weights(resumed.vae), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("budget", "stages", "epochs"),
    [
        (1.0, 2, [(4, 1e-2), (4, 1e-3), (4, 1e-3)]),
        (1.0, 1, [(4, 1e-2)]),
        (0.75, 2, [(3, 1e-2), (4, 1e-3), (2, 1e-3)]),
    ],
)
def test_a_budget_shortens_each_stage(tmp_path, budget, stages, epochs):
    training = science.Training(ROW, tmp_path / "run", grey())
    planned = list(training.epochs(budget, stages))
    assert [(steps, rate) for _, steps, rate, _ in planned] == epochs
    assert planned[-1][-1] == 1.0


def test_burda_s_recipe():
    """Section 5.1: 3,280 epochs; the bias of the output starts at the mean image."""
    row = science.ROWS["burda-vae-1"]
    assert sum(stage.epochs for stage in row.stages) == 3280
    assert row.stages[7].learning_rate == pytest.approx(1e-4)
    mean = np.full((28, 28, 1), 0.25, "float32")
    vae = row.make(mean)
    bias = keras.ops.convert_to_numpy(vae.likelihood.network.get_layer("dec_output").bias)
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-bias)), 0.25, rtol=1e-6)


def test_pixels_are_a_function_of_the_key():
    images = np.full((40, 50, 1), 0.3, "float32")
    one = science.pixels(images, 1)
    np.testing.assert_array_equal(one, science.pixels(images, 1))
    assert (one != science.pixels(images, 2)).any()
    assert set(np.unique(one)) == {0.0, 1.0}
    assert one.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / one.size))


@pytest.mark.parametrize(
    ("name", "parameters"), [("pythae-vae", 676_864), ("pythae-vamp", None), ("pythae-svae", None)]
)
def test_pythae_s_recipes_train(name, parameters, tmp_path):
    """Of the first the parameters by hand: 784 x 400, 400 x 2 x 40, 40 x 400 and 400 x 784."""
    training = science.Training(science.ROWS[name], tmp_path, np.zeros((200, 28, 28, 1), "float32"))
    training.run(1e-9, 1)
    assert training.state["steps"] == 1
    assert parameters in (None, training.vae.count_params())
    assert np.isfinite(training.vae.log_likelihood(np.zeros((2, 28, 28, 1), "float32"), 5)).all()
