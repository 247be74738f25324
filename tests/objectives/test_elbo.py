import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from tests.support import data, tiny_vae, to_numpy, weights


def betas_in_training(vae, steps):
    """The beta of each of the next training steps, as the compiled step reports it."""
    betas = []
    for _ in range(steps):
        vae.reset_metrics()
        logs = vae.train_on_batch(data(4), return_dict=True)
        assert logs["loss"] == pytest.approx(
            logs["beta"] * logs["kl"] - logs["reconstruction"], rel=1e-5
        )
        betas.append(float(logs["beta"]))
    return betas


@pytest.mark.parametrize(
    ("step", "beta"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (5, 2.0), (10**6, 2.0)]
)
def test_the_warm_up_is_linear_and_then_stays(step, beta):
    warmup = kelbo.LinearWarmup(steps=4, beta=2.0)
    assert float(to_numpy(warmup(keras.ops.convert_to_tensor(step)))) == beta


def test_beta_rises_step_by_step_in_training_and_goes_on_after_a_reload(tmp_path):
    vae = tiny_vae(objective=kelbo.ELBO(kelbo.LinearWarmup(steps=4, beta=2.0)))
    vae.compile("sgd")
    assert vae.effective_beta == 2.0
    assert betas_in_training(vae, 2) == [0.5, 1.0]
    # Evaluation takes no step: it uses the beta that training has arrived at.
    evaluated = vae.evaluate(data(8), batch_size=4, verbose=0, return_dict=True)
    assert evaluated["beta"] == pytest.approx(1.0)
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert int(again.training_steps) == 2
    assert betas_in_training(again, 4) == [1.5, 2.0, 2.0, 2.0]


def test_fit_counts_every_batch_once():
    vae = tiny_vae(objective=kelbo.ELBO(kelbo.LinearWarmup(steps=100)))
    vae.compile("sgd")
    vae.fit(data(10), batch_size=4, epochs=2, validation_data=data(4), verbose=0)
    assert int(vae.training_steps) == 6


def test_any_keras_schedule_is_a_beta():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.0, 3.0])
    vae = tiny_vae(objective=kelbo.ELBO(schedule))
    vae.compile("sgd")
    assert betas_in_training(vae, 4) == [0.0, 0.0, 3.0, 3.0]
    assert vae.effective_beta == 3.0


def test_a_beta_of_zero_gives_no_gradient_of_the_kl():
    vae = tiny_vae(objective=kelbo.ELBO(0.0))
    for weight in vae.likelihood.trainable_weights:
        weight.assign(0.0 * weight)  # nothing depends on z
    before = weights(vae.posterior)
    vae.compile(keras.optimizers.SGD(1.0))
    vae.train_on_batch(data(4))
    for old, new in zip(before, weights(vae.posterior), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("beta", [-1.0, np.nan, np.inf, "1", None, True])
def test_what_is_no_beta_is_refused(beta):
    with pytest.raises(UsageError, match="beta.*received"):
        kelbo.ELBO(beta)
    with pytest.raises(UsageError, match="beta.*received"):
        kelbo.LinearWarmup(10, beta)


@pytest.mark.parametrize("beta", [2, np.float32(2.0), np.int64(2)])
def test_every_kind_of_number_is_a_beta(beta):
    assert kelbo.ELBO(beta).get_config()["beta"] == 2.0


def test_a_warm_up_needs_a_step():
    with pytest.raises(UsageError, match="steps >= 1, received 0"):
        kelbo.LinearWarmup(0)
