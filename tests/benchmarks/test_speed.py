"""The race computes the same thing in every contestant, and its page says what was measured."""

import json

import numpy as np
import pytest

from benchmarks.speed import race as racing
from benchmarks.speed.contestants import ENTRIES
from benchmarks.speed.page import (
    fastest,
    fastest_ratio,
    final,
    finalists,
    is_final,
    page,
    speed_ratio,
)
from benchmarks.speed.work import Work, images, weights

TINY = Work(rows=8, batch_size=4, side=8, latent_dim=2)


@pytest.fixture(scope="module")
def result():
    names = ["kelbo, tensorflow", "TensorFlow, tf.function loop", "PyTorch, eager"]
    return racing.race(TINY, names, "cpu", rounds=2)


def test_losses_at_the_common_weights_are_equal(result):
    assert result["absent"] == {}
    losses = [one["loss_at_start"] for one in result["contestants"].values()]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    assert result["loss_deviation"] < 1e-6


def test_a_race_is_measured_epoch_by_epoch(result):
    for one in result["contestants"].values():
        assert len(one["losses"]) == 3
        assert len(one["seconds"]) == 2
        assert one["losses"][-1] < one["losses"][0]
        assert one["peak_memory"] > 1e7


def test_the_page_has_a_row_for_each_and_its_own_targets(result):
    entry = {"date": "2026-11-24", "machine": {"cpu_count": 2, "processor": "X"}, "result": result}
    results = json.loads(json.dumps({"cpu": {"heats": {"batch 128": entry}, "growth": {}}}))
    text = page(results)
    for name in result["contestants"]:
        assert name in text
    assert "TensorFlow backend, the best peer: kelbo, tensorflow against" in text
    assert "| JAX backend, stock Keras | 2.0 | not measured |" in text
    assert "python -m benchmarks.speed --device gpu" in text


def made_up(**seconds):
    contestants = {
        name: {"seconds": times, "samples_per_second": 1.0 / np.median(times), "loss_at_start": 1.0}
        for name, times in seconds.items()
    }
    return {"contestants": contestants}


def test_a_ratio_is_of_neighbouring_rounds():
    # In the second round the machine was slow for both.
    result = made_up(kelbo=[1.0, 10.0, 2.0], peer=[2.0, 20.0, 4.0])
    assert speed_ratio(result, "kelbo", "peer") == 2.0
    result["contestants"]["peer"]["seconds"][0] = 1.2
    assert fastest_ratio(result, "kelbo", "peer") == 1.2
    assert fastest(result, ours=True) == "kelbo"
    assert fastest(result, ours=False) == "peer"


def test_kelbo_is_in_every_final():
    result = made_up(a=[1.0], b=[2.0], c=[3.0], kelbo=[9.0])
    assert finalists(result, 3) == ["kelbo", "a", "b"]
    assert is_final(final("batch 128")) and not is_final("batch 128")


def test_another_loss_is_no_race():
    result = made_up(kelbo=[1.0], peer=[1.0], other=[1.0])
    racing.check_losses(TINY, result)
    result["contestants"]["other"]["loss_at_start"] = 1.01
    with pytest.raises(SystemExit, match="other"):
        racing.check_losses(TINY, result)


def test_who_is_not_installed_is_absent(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.contestants.find_spec", lambda name: None)
    for name in ENTRIES:
        assert racing.reason_for_absence(name, TINY).startswith("not installed: ")


def test_images_are_repeated_and_weights_are_the_article_s():
    many = images(Work(rows=60_002, batch_size=1))
    np.testing.assert_array_equal(many[60_000:], many[:2])
    sizes = [array.size for pair in weights(Work(1, 1)).values() for array in pair]
    assert sum(sizes) == 492_577
