"""Every schedule at known steps, in its objective, and through a file."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from tests.support import data, tiny_vae, to_numpy

SCHEDULES = {
    "linear": kelbo.LinearWarmup(4, 2.0),
    "cosine": kelbo.CosineWarmup(4, 2.0),
    "sigmoid": kelbo.SigmoidWarmup(4, 2.0, steepness=8.0),
    "cyclical": kelbo.CyclicalWarmup(12, 2.0, cycles=3, rise=0.5),
    "cyclical, 10 steps in 4": kelbo.CyclicalWarmup(10, 1.0, cycles=4, rise=1.0),
}
logistic = 0.5 + 0.5 * np.tanh(2.0 * np.array([-0.5, 0.5])) / np.tanh(2.0)
VALUES = {
    "linear": [0.0, 0.5, 1.0, 1.5, 2.0, 2.0],
    "cosine": [0.0, 1.0 - np.sqrt(0.5), 1.0, 1.0 + np.sqrt(0.5), 2.0, 2.0],
    "sigmoid": [0.0, 2.0 * logistic[0], 1.0, 2.0 * logistic[1], 2.0, 2.0],
    "cyclical": [0, 1, 2, 2, 0, 1, 2, 2, 0, 1, 2, 2, 2, 2],
    "cyclical, 10 steps in 4": [0, 0.4, 0.8, 0.4, 0.8, 0, 0.4, 0.8, 0.4, 0.8, 1, 1],
}
each = pytest.mark.parametrize("name", SCHEDULES)


def value(schedule, step):
    return float(to_numpy(schedule(keras.ops.convert_to_tensor(step, "int32"))))


@each
def test_its_values_at_the_first_steps(name):
    found = [value(SCHEDULES[name], step) for step in range(len(VALUES[name]))]
    np.testing.assert_allclose(found, VALUES[name], atol=1e-6)


@each
def test_it_stays_where_it_ends(name):
    end = SCHEDULES[name].beta
    assert [value(SCHEDULES[name], step) for step in (10**6, 2**30)] == [end, end]
    objective = kelbo.ELBO(SCHEDULES[name])
    assert objective.settles
    assert objective.effective_beta(None) == end


@each
def test_rebuilds_from_its_config(name):
    saving = keras.saving
    clone = saving.deserialize_keras_object(saving.serialize_keras_object(SCHEDULES[name]))
    assert type(clone) is type(SCHEDULES[name])
    assert clone.get_config() == SCHEDULES[name].get_config()


def test_a_sigmoid_is_the_logistic_curve_shifted_and_scaled():
    t = np.linspace(0.0, 1.0, 11)
    curve = 1.0 / (1.0 + np.exp(-10.0 * (t - 0.5)))
    expected = (curve - curve[0]) / (curve[-1] - curve[0])
    found = [value(kelbo.SigmoidWarmup(10), step) for step in range(11)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_schedule_may_stand_for_every_weight_of_an_objective(tmp_path):
    schedules = {"capacity": kelbo.CyclicalWarmup(4, 3.0, cycles=2), "gamma": kelbo.CosineWarmup(2)}
    vae = tiny_vae(objective=kelbo.Capacity(**schedules))
    vae.compile("sgd")
    logs = []
    for _ in range(3):
        vae.reset_metrics()
        logs.append(vae.train_on_batch(data(4), return_dict=True))
    assert [float(each["capacity"]) for each in logs] == pytest.approx([3.0, 0.0, 3.0])
    assert [float(each["gamma"]) for each in logs] == pytest.approx([0.5, 1.0, 1.0])
    vae.save(tmp_path / "vae.keras")
    again = kelbo.load_model(tmp_path / "vae.keras")
    assert again.objective.get_config() == vae.objective.get_config()
    assert int(again.training_steps) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kelbo.CosineWarmup(0), "steps >= 1, received 0"),
        (lambda: kelbo.SigmoidWarmup(3, 1.0, 0.0), "steepness above 0"),
        (lambda: kelbo.SigmoidWarmup(3, 1.0, 100.0), "up to 60, received 100"),
        (lambda: kelbo.CyclicalWarmup(3, 1.0, cycles=4), "from 1 to the 3 steps, received 4"),
        (lambda: kelbo.CyclicalWarmup(3, 1.0, 1, rise=0.0), "rise above 0"),
        (lambda: kelbo.CyclicalWarmup(2**30, 1.0, 4), "below 2\\^31"),
        (lambda: kelbo.CyclicalWarmup(9, -1.0), "beta is expected"),
    ],
)
def test_what_is_no_schedule_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
