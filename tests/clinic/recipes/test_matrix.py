import dataclasses
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.recipes import matrix as matrix_module
from kelbo.clinic.recipes.build import UnavailableError
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.environments import ENVIRONMENTS
from kelbo.clinic.recipes.matrix import Cell, Lab, Matrix, Trial, cells
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, VERDICTS, WORKS, WRONGLY
from kelbo.errors import LabError
from tests.clinic.recipes.support import (
    BASELINE,
    PARITY,
    RECIPE,
    REPAIR,
    Recorder,
    environment,
    gone,
    interpreter,
    measured,
    raised,
    trial,
    writes,
)

ALL = ("on", "off")
FIRST = [CATALOGUE["1-loss-closure"]]


@pytest.fixture
def here(tmp_path):
    """Make an environment whose interpreter counts its runs in `runs` and does as it is told."""

    def make(body=None, name="fake", **options):
        body = writes(measured()) if body is None else body
        count = f'echo "$recipe $mode" >> {tmp_path / "runs"}\n{body}'
        python = interpreter(tmp_path / name / "python", count)
        return environment(name, interpreter=python, **options)

    return make


@pytest.fixture
def runs(tmp_path):
    """What the interpreters ran so far: folder of the recipe, script and mode."""

    def read():
        path = tmp_path / "runs"
        lines = path.read_text().splitlines() if path.exists() else []
        return sorted("/".join(line.rsplit("/", 2)[-2:]) for line in lines)

    return read


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def lab(tmp_path, recorder):
    def make(**options):
        return Lab(Cache(tmp_path / "cache"), PARITY, **{"watcher": recorder, **options})

    return make


def test_there_is_a_cell_for_each_script_environment_and_mode(here):
    both, one = here(), here(name="jax", backend="jax")
    found = [cell.key[1:] for cell in cells(FIRST, [both, one], ALL)]
    assert found == [
        ("recipe", "fake", "on"),
        ("repair", "fake", "on"),
        ("recipe", "fake", "off"),
        ("repair", "fake", "off"),
        ("recipe", "jax", "on"),
        ("repair", "jax", "on"),
    ]
    assert cells(FIRST, [one], ["off"]) == []


def test_each_cell_is_measured_in_its_mode_and_comes_back_in_order(lab, here, runs):
    body = (
        f'if [ "$mode" = off ]; then\n{writes(measured(kl_share=32.0, gradient_error=9.0))}\n'
        f"else\n{writes(measured())}\nfi"
    )
    wanted = cells(FIRST, [here(body)], ALL)[::-1]
    found = lab().run(wanted)
    assert [trial.key for trial in found] == [cell.key for cell in wanted]
    assert [trial.verdict for trial in found] == [WRONGLY, WRONGLY, WORKS, WORKS]
    assert runs() == [
        "1-loss-closure/recipe.py off",
        "1-loss-closure/recipe.py on",
        "1-loss-closure/repair.py off",
        "1-loss-closure/repair.py on",
    ]


def test_a_backend_without_a_switch_is_left_as_it_is(lab, here, runs):
    lab().run([Cell(BASELINE, here(backend="torch"), "on")])
    assert runs() == ["0-autoencoder/recipe.py -"]


def test_a_trial_keeps_what_was_measured(lab, here):
    result = {**measured(), "versions": {"keras": "2.8.0"}}
    (found,) = lab().run([Cell(REPAIR, here(writes(result)), "on")])
    assert found.versions == {"keras": "2.8.0"}
    assert found.measured["kl_share"] == pytest.approx(1.0)
    assert found.measured["losses"] == [0.6, 0.5, 0.4]
    assert found.error == {}
    (failed,) = lab().run([Cell(REPAIR, here(writes(raised("E", "x", line=3)), "other"), "on")])
    assert failed.error == {"type": "E", "message": "x", "line": 3}


def test_what_was_measured_can_be_written_as_json_also_where_it_is_not_finite(lab, here):
    nan = measured(losses=[float("nan")], gradient_error=float("inf"))
    (found,) = lab().run([Cell(REPAIR, here(writes(nan)), "on")])
    assert found.verdict == WRONGLY
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert found.measured["losses"] == [None]


# Resuming


def test_what_is_known_is_not_run_again(lab, here, runs, recorder):
    wanted = cells(FIRST, [here()], ALL)
    first = lab().run(wanted)
    before = runs()
    assert lab().run(wanted) == first
    assert runs() == before
    # The bar moves all the same.
    assert recorder.told("tried") == [cell.key for cell in (*wanted, *wanted)]


def test_fresh_measures_everything_again(lab, here, runs):
    wanted = cells(FIRST, [here()], ["on"])
    lab().run(wanted)
    lab(fresh=True).run(wanted)
    assert len(runs()) == 4


def test_only_what_is_missing_is_measured(lab, here, runs):
    fake = here()
    lab().run([Cell(RECIPE, fake, "on")])
    lab().run(cells(FIRST, [fake], ["on"]))
    assert runs() == ["1-loss-closure/recipe.py on", "1-loss-closure/repair.py on"]


def test_a_changed_script_is_measured_again(lab, here, runs, monkeypatch, tmp_path):
    wanted = [Cell(RECIPE, here(), "on")]
    lab().run(wanted)
    copy = tmp_path / "catalogue" / RECIPE.recipe / "recipe.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(RECIPE.path.read_text())
    monkeypatch.setattr("kelbo.clinic.recipes.catalogue._FOLDER", tmp_path / "catalogue")
    lab().run(wanted)
    assert len(runs()) == 1
    copy.write_text(copy.read_text() + "\n")
    lab().run(wanted)
    assert len(runs()) == 2


def test_a_changed_probe_is_measured_again(lab, here, runs, monkeypatch, tmp_path):
    wanted = [Cell(RECIPE, here(), "on")]
    lab().run(wanted)
    (tmp_path / "probe.py").write_text("# another")
    monkeypatch.setattr(matrix_module, "PROBE", tmp_path / "probe.py")
    lab().run(wanted)
    assert len(runs()) == 2


def test_changed_pins_are_measured_again(lab, here, runs):
    lab().run([Cell(RECIPE, here(), "on")])
    lab().run([Cell(RECIPE, here(pins=("nothing==2.0",)), "on")])
    assert len(runs()) == 2


def test_another_reference_is_measured_again(here, runs, tmp_path):
    wanted = [Cell(RECIPE, here(), "on")]
    for loss in (0.5, 0.5 * (1 + 1e-7), 0.51):
        parity = {kind: {"loss": np.asarray(loss)} for kind in PARITY}
        Lab(Cache(tmp_path / "cache"), parity).run(wanted)
    assert len(runs()) == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"recipe": "1-loss-closure"}',
    ],
)
def test_a_damaged_result_is_measured_again(lab, here, runs, tmp_path, damage):
    wanted = [Cell(RECIPE, here(), "on")]
    first = lab().run(wanted)
    (path,) = (tmp_path / "cache" / "trials").rglob("*.json")
    path.write_bytes(damage)
    assert lab().run(wanted) == first
    assert len(runs()) == 2


def test_a_result_with_a_verdict_of_another_kelbo_is_measured_again(lab, here, runs, tmp_path):
    wanted = [Cell(RECIPE, here(), "on")]
    lab().run(wanted)
    (path,) = (tmp_path / "cache" / "trials").rglob("*.json")
    path.write_text(path.read_text().replace('"works"', '"runs"'))
    assert lab().run(wanted)[0].verdict == WORKS
    assert len(runs()) == 2


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("exit 1", NOT_AVAILABLE),
        (writes(raised("ImportError", "x", stage="environment")), NOT_AVAILABLE),
        ("sleep 60", FAILS),
    ],
)
def test_what_may_be_the_machines_fault_is_tried_anew(lab, here, runs, body, verdict):
    """A time limit that was too short, memory that was too small, a disk that was full."""
    impatient = lab(time_limit=0.3 if "sleep" in body else 10.0)
    (found,) = impatient.run([Cell(RECIPE, here(body), "on")])
    assert found.verdict == verdict
    (found,) = lab().run([Cell(RECIPE, here(), "on")])
    assert found.verdict == WORKS


# Trouble


def test_an_environment_that_cannot_be_built_does_not_stop_the_rest(
    lab, here, monkeypatch, recorder
):
    def unavailable(environment, cache):
        raise UnavailableError("no network: cannot reach https://pypi.org")

    monkeypatch.setattr(matrix_module, "build", unavailable)
    broken = environment("broken")
    found = lab().run(cells(FIRST, [broken, here()], ["on"]))
    assert [(trial.environment, trial.verdict) for trial in found] == [
        ("broken", NOT_AVAILABLE),
        ("broken", NOT_AVAILABLE),
        ("fake", WORKS),
        ("fake", WORKS),
    ]
    assert found[0].reason == "no network: cannot reach https://pypi.org"
    assert recorder.told("building") == ["broken"]
    assert recorder.told("built") == []
    assert len(recorder.told("tried")) == 4


def test_an_environment_that_could_not_be_built_is_tried_anew(lab, here, monkeypatch):
    def unavailable(environment, cache):
        raise UnavailableError("no network")

    fake = here()
    missing = dataclasses.replace(fake, interpreter=None)
    with monkeypatch.context() as patch:
        patch.setattr(matrix_module, "build", unavailable)
        assert lab().run([Cell(RECIPE, missing, "on")])[0].verdict == NOT_AVAILABLE
    monkeypatch.setattr(matrix_module, "build", lambda environment, cache: None)
    monkeypatch.setattr(Cache, "python", lambda cache, environment: fake.interpreter)
    assert lab().run([Cell(RECIPE, missing, "on")])[0].verdict == WORKS


def test_what_a_script_needs_and_an_environment_lacks_is_not_run(lab, here, runs):
    (found,) = lab().run([Cell(RECIPE, here(backend="jax"), "on")])
    assert found.verdict == NOT_AVAILABLE
    assert found.reason == "the script is written in TensorFlow, and Keras runs on another backend"
    script = CATALOGUE["8-compute-loss"].scripts[0]
    (found,) = lab().run([Cell(script, here(keras=2), "on")])
    assert (found.verdict, found.reason) == (NOT_AVAILABLE, "the script needs Keras 3")
    assert runs() == []


def test_an_interpreter_that_vanishes_costs_its_cells_and_no_others(lab, here, recorder, tmp_path):
    fake = here(f"{writes(measured())}\nrm {tmp_path / 'fake' / 'python'}")
    found = lab().run([*cells(FIRST, [fake], ["on"]), Cell(RECIPE, here(name="other"), "on")])
    assert [trial.verdict for trial in found] == [WORKS, NOT_AVAILABLE, WORKS]
    assert found[1].reason == f"No such file or directory ({tmp_path}/fake/python)"
    assert sorted(recorder.told("tried")) == sorted(trial.key for trial in found)


def test_a_cache_that_cannot_be_made_is_told_with_its_place(here, tmp_path):
    (tmp_path / "file").write_text("")
    lab = Lab(Cache(tmp_path / "file"), PARITY)
    (found,) = lab.run([Cell(RECIPE, here(), "on")])
    assert found.verdict == NOT_AVAILABLE
    assert found.reason == f"Not a directory ({tmp_path}/file/environments)"


def test_a_result_that_cannot_be_kept_is_told_and_the_run_goes_on(lab, here, recorder, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "trials").write_text("in the way")
    wanted = cells(FIRST, [here()], ["on"])
    assert [trial.verdict for trial in lab().run(wanted)] == [WORKS, WORKS]
    assert len(recorder.told("unsaved")) == 2
    assert len(recorder.told("tried")) == 2


# Two at once


def test_jobs_do_the_same_work_at_the_same_time(lab, here, tmp_path):
    """Each trial waits until the other has begun, so one alone would never come to its end."""
    meet = (
        f"touch {tmp_path}/$(basename $recipe)\n"
        f"while [ ! -e {tmp_path}/recipe.py -o ! -e {tmp_path}/repair.py ]; do sleep 0.01; done\n"
    )
    wanted = cells(FIRST, [here(meet + writes(measured()))], ["on"])
    assert [trial.verdict for trial in lab(jobs=2, time_limit=20.0).run(wanted)] == [WORKS, WORKS]


def test_the_number_of_jobs_does_not_change_the_result(lab, here, runs):
    recipes = list(CATALOGUE.values())
    wanted = cells(recipes, [here()], ALL)
    one = lab().run(wanted)
    two = lab(jobs=2, fresh=True).run(wanted)
    assert one == two
    assert len(runs()) == 2 * len(wanted) - 2 * 2  # recipe 8 needs Keras 3, in both modes


def test_two_labs_build_an_environment_once_and_measure_it_once(here, runs, tmp_path, monkeypatch):
    """The second waits; what the first has measured meanwhile the second finds."""
    fake = here()
    building = threading.Event()
    second = threading.Event()
    built = []

    def build(environment, cache):
        building.set()
        assert second.wait(20.0)
        built.append(environment.name)
        cache.directory(environment).mkdir(parents=True)
        cache.finish(environment, {})

    class Waiting(Recorder):
        def waiting(self, environment):
            super().waiting(environment)
            second.set()

    monkeypatch.setattr(matrix_module, "build", build)
    monkeypatch.setattr(Cache, "python", lambda cache, environment: fake.interpreter)
    missing = dataclasses.replace(fake, interpreter=None)
    wanted = cells(FIRST, [missing], ["on"])
    watchers = [Recorder(), Waiting()]
    results = [None, None]

    def work(number):
        results[number] = Lab(Cache(tmp_path / "cache"), PARITY, watchers[number]).run(wanted)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    threads[0].start()
    assert building.wait(20.0)
    threads[1].start()
    for thread in threads:
        thread.join(30.0)
    assert results[0] == results[1]
    assert [trial.verdict for trial in results[0]] == [WORKS, WORKS]
    assert built == ["fake"]
    assert watchers[0].told("waiting") == []
    assert watchers[1].told("waiting") == ["fake"]
    assert len(runs()) == 2


# Ctrl-C


def test_ctrl_c_keeps_what_is_finished_and_kills_what_runs(
    lab, here, runs, tmp_path, heeding_ctrl_c
):
    number = tmp_path / "number"
    body = (
        f"case $recipe in */repair.py) echo $$ > {number}; sleep 60 ;; esac\n{writes(measured())}"
    )
    wanted = cells(FIRST, [here(body)], ["on"])

    class Impatient(Recorder):
        def tried(self, trial):
            super().tried(trial)
            threading.Thread(target=press).start()

    def press():
        while not number.exists() or not number.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lab(watcher=Impatient()).run(wanted)
    assert time.monotonic() - start < 20.0
    assert gone(int(number.read_text()))
    # The next run begins where this one stopped.
    assert [trial.verdict for trial in lab().run([Cell(RECIPE, here(body), "on")])] == [WORKS]
    assert runs().count("1-loss-closure/recipe.py on") == 1


# The matrix


def test_a_matrix_is_asked_by_key():
    one, other = trial(mode="on"), trial(mode="off", verdict=FAILS)
    matrix = Matrix({}, (one, other))
    assert matrix[RECIPE.recipe, "recipe", "tf-2.8", "off"] is other
    assert matrix[RECIPE.recipe, "repair", "tf-2.8", "off"] is None


def test_newer_trials_take_the_place_of_older_ones_in_the_tables_order():
    old = Matrix({"system": "old"}, (trial(place="tf-2.8", verdict=FAILS), trial(place="tf-1.15")))
    new = [trial(place="tf-2.8"), trial(place="mine"), trial(BASELINE, place="tf-2.0")]
    updated = old.updated(new)
    assert [(t.environment, t.verdict) for t in updated.trials] == [
        ("tf-1.15", WORKS),
        ("tf-2.0", WORKS),
        ("tf-2.8", WORKS),
        ("mine", WORKS),  # of no table: last
    ]
    assert updated.machine == matrix_module.describe_machine()


def test_a_difference_is_another_verdict_or_a_new_cell_and_not_another_message():
    same, worse = trial(mode="on"), trial(mode="off")
    matrix = Matrix({}, (same, worse, trial(REPAIR)))
    broken, unknown = trial(mode="off", verdict=FAILS), trial(place="mine")
    again = dataclasses.replace(same, reason="in other words", date="2030-01-01")
    assert matrix.differences([again, broken, unknown]) == [(broken, worse), (unknown, None)]


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text('aé|`<"\\\n', max_size=3)
trials = st.builds(
    trial,
    place=st.sampled_from([*ENVIRONMENTS, "mine"]),
    mode=st.sampled_from(ALL),
    verdict=st.sampled_from(VERDICTS),
    reason=texts,
    versions=st.dictionaries(texts, texts, max_size=2),
    error=st.dictionaries(texts, texts | st.integers() | st.none(), max_size=2),
    measured=st.dictionaries(texts, numbers | st.none(), max_size=2),
)


@given(st.lists(trials, max_size=5))
def test_a_matrix_is_the_same_after_a_round_trip(found):
    matrix = Matrix({"system": "Linux", "cores": 2}, tuple(found))
    text = matrix.to_json()
    assert Matrix.from_json(text, "x") == matrix
    assert Matrix.from_json(text, "x").to_json() == text


@given(st.lists(trials, max_size=8), st.lists(trials, max_size=8))
def test_an_updated_matrix_has_each_cell_once_and_differs_in_nothing_new(old, new):
    updated = Matrix({}, tuple(old)).updated(new)
    keys = [trial.key for trial in updated.trials]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {trial.key for trial in (*old, *new)}
    latest = {trial.key: trial for trial in new}.values()
    assert updated.differences(latest) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        '{"machine": {}, "trials": 3}',
        '{"machine": null, "trials": []}',
        '{"machine": {}, "trials": [{"recipe": "1-loss-closure"}]}',
        '{"machine": {}, "trials": ["works"]}',
    ],
)
def test_a_text_that_is_no_matrix_is_refused(text):
    with pytest.raises(LabError, match=r"^my\.json holds no results of the recipes lab: .*--save"):
        Matrix.from_json(text, "my.json")


def test_a_verdict_that_does_not_exist_is_refused():
    text = Matrix({}, (trial(),)).to_json().replace('"works"', '"wroks"')
    with pytest.raises(LabError, match="there is no verdict 'wroks'"):
        Matrix.from_json(text, "my.json")


def test_every_field_of_a_trial_is_stored():
    stored = json.loads(Matrix({}, (trial(),)).to_json())["trials"][0]
    assert set(stored) == {field.name for field in dataclasses.fields(Trial)}
