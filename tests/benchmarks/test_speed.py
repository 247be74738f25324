"""The race computes the same thing in every contestant, and its page says what was measured."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed import race as racing
from benchmarks.speed import worker
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
FAILING = "PyTorch, CUDA graph, by hand"  # on a CPU


@pytest.fixture(scope="module")
def result():
    names = ["kelbo, tensorflow", FAILING, "TensorFlow, tf.function loop", "PyTorch, eager"]
    return racing.race(TINY, names, "cpu", rounds=2)


def test_who_fails_is_named_with_the_reason_and_the_others_go_on(result):
    assert list(result["absent"]) == [FAILING]
    assert result["absent"][FAILING].startswith("it failed: RuntimeError: ")
    assert "CUDA" in result["absent"][FAILING]
    assert len(result["contestants"]) == 3


def test_losses_at_the_common_weights_are_equal(result):
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


def test_who_computes_another_loss_is_out():
    losses = {"kelbo": 1.0, "peer": 1.000001, "other": 1.01, "broken": np.nan}
    out = racing.of_another_loss(losses, 1e-5)
    assert list(out) == ["other", "broken"]
    assert "its loss at the common weights is 1.01" in out["other"]
    # Of two that differ nobody knows who is right.
    assert len(racing.of_another_loss({"kelbo": 1.0, "other": 2.0}, 1e-5)) == 2


def test_who_is_not_installed_is_absent(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.contestants.find_spec", lambda name: None)
    for name in ENTRIES:
        with pytest.raises(racing.Failed, match="not installed: "):
            racing.check_presence(name, TINY)


def test_who_says_nothing_is_given_up():
    result = racing.race(TINY, ["PyTorch, eager"], "cpu", rounds=1, patience=0.01)
    assert result["absent"] == {"PyTorch, eager": "it failed: nothing for 0 s"}
    assert result["contestants"] == {}


@pytest.mark.parametrize(
    ("found", "device", "fits"),
    [("cpu", "cpu", True), ("NVIDIA H100", "gpu", True), ("cpu", "gpu", False)]
    + [("NVIDIA H100", "cpu", False)],
)
def test_no_library_takes_another_device_in_silence(found, device, fits, monkeypatch):
    monkeypatch.setattr(worker, "device_name", lambda backend: found)
    with (
        nullcontext()
        if fits
        else pytest.raises(RuntimeError, match=f"jax is asked for a {device.upper()}")
    ):
        worker.check_device("jax", device)


def a_race(**rounds):
    return {"contestants": {name: {"seconds": [1.0] * n} for name, n in rounds.items()}}


def test_a_race_that_has_less_than_the_stored_one_is_not_stored(capsys):
    stored = {"batch 128": {"result": a_race(kelbo=7, peer=7)}, "batch 128, final": {"result": {}}}
    results = {"heats": dict(stored), "growth": {}}
    for less, lacks in (({"kelbo": 7}, "peer (0 of 7 rounds)"), ({"kelbo": 7, "peer": 3}, "3 of")):
        command.store(results, "heats", "batch 128", a_race(**less), anyway=False)
        assert results["heats"] == stored
        assert lacks in capsys.readouterr().err
    command.store(results, "heats", "batch 128", a_race(kelbo=7), anyway=True)
    assert results["heats"]["batch 128"]["result"] == a_race(kelbo=7)
    assert "batch 128, final" not in results["heats"]  # it was of another race
    command.store(results, "heats", "batch 128", a_race(kelbo=8, peer=1), anyway=False)
    assert results["heats"]["batch 128"]["result"] == a_race(kelbo=8, peer=1)


def test_a_race_without_contestants_is_never_stored():
    results = {"heats": {}, "growth": {}}
    with pytest.raises(SystemExit, match="nobody took part"):
        command.store(results, "heats", "batch 128", a_race(), anyway=True)
    with pytest.raises(SystemExit, match="nobody took part"):
        command.store(results, "growth", "rows", [a_race(), a_race()], anyway=True)
    assert results == {"heats": {}, "growth": {}}


def test_finals_are_of_races_that_have_none_yet(monkeypatch):
    held = []
    monkeypatch.setattr(command, "race", lambda work, names, *rest: held.append(work.batch_size))
    entry = {"result": {**made_up(kelbo=[1.0], peer=[2.0]), "work": {"rows": 8, "batch_size": 4}}}
    other = {"result": {**entry["result"], "work": {"rows": 8, "batch_size": 2}}}
    stored = {"one": entry, "two": other, final("two"): other}
    options = {"device": "cpu", "parts": ["finals"], "batches": [], "names": [], "rounds": 1}
    list(command.measure(**options, patience=1.0, again=False, stored=stored))
    assert held == [4]
    list(command.measure(**options, patience=1.0, again=True, stored=stored))
    assert held == [4, 4, 2]


def test_graphs_of_both_sizes_of_batch_begin_from_the_common_weights(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks.speed.contestants.pytorch import WARM_UP, Graphed

    class Graph:
        replayed = 0

        def replay(self):
            self.replayed += 1

    class Stream:
        def wait_stream(self, other):
            pass

    # What is captured on a GPU and only run on replay is run here at once.
    for name, stand_in in (
        ("Stream", Stream),
        ("current_stream", Stream),
        ("stream", lambda stream: nullcontext()),
        ("graph", lambda graph: nullcontext()),
        ("CUDAGraph", Graph),
    ):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(Graphed, "capturable", False)
    contestant = Graphed(TINY, weights(TINY), "cpu")
    initial = [tensor.clone() for tensor in contestant.vae.state_dict().values()]
    steps = []
    monkeypatch.setattr(
        contestant, "take_step", lambda *a: steps.append(a) or Graphed.take_step(contestant, *a)
    )
    data = torch.rand(11, 1, 8, 8)
    step = contestant.make_step(data)
    assert [len(x) for _, x in steps] == [3] * (WARM_UP + 1) + [4] * (WARM_UP + 1)
    for tensor, value in zip(contestant.vae.state_dict().values(), initial, strict=True):
        assert torch.equal(tensor, value)
    for state in contestant.optimizer.state.values():
        assert not any(value.any() for value in state.values())
    for batch in data.split(4):
        assert step(batch).isfinite()
    assert len(steps) == 2 * (WARM_UP + 1)  # batches are replays, the last one too


def test_images_are_repeated_and_weights_are_the_article_s():
    many = images(Work(rows=60_002, batch_size=1))
    np.testing.assert_array_equal(many[60_000:], many[:2])
    sizes = [array.size for pair in weights(Work(1, 1)).values() for array in pair]
    assert sum(sizes) == 492_577
