import os
import signal
import sys
import time

import pytest

from kelbo.clinic.recipes import environments, matrix, measured
from kelbo.clinic.recipes.build import UnavailableError
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.history import from_json
from kelbo.clinic.recipes.matrix import Lab, Matrix
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, WORKS, WRONGLY
from tests.cli.program import kelbo, refused
from tests.clinic.recipes.support import (
    BASELINE,
    PARITY,
    RECIPE,
    REPAIR,
    TITLES,
    World,
    environment,
    interpreter,
    raised,
    trial,
    writes,
)
from tests.clinic.recipes.support import (
    measured as a_result,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """No backend computes anything, and nothing outside the test's folder is touched."""
    monkeypatch.setattr("kelbo.clinic.recipes.reference.parity_arrays", PARITY.__getitem__)
    monkeypatch.setenv("KELBO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def committed(monkeypatch):
    """What kelbo comes with: these trials."""

    def come_with(*trials):
        stored = Matrix({"system": "Linux", "cores": 2}, trials)
        monkeypatch.setattr(measured, "matrix", lambda: stored)

    return come_with


@pytest.fixture
def table(monkeypatch, tmp_path):
    """Make these the environments there are: works, raises and (on JAX) has one mode."""
    right = interpreter(tmp_path / "right" / "python", writes(a_result()))
    wrong = interpreter(
        tmp_path / "wrong" / "python", writes(raised("TypeError", "You are passing KerasTensor"))
    )
    made = [
        environment("right", interpreter=right),
        environment("wrong", interpreter=wrong),
        environment("jax", interpreter=right, backend="jax", keras=3),
    ]
    monkeypatch.setattr(environments, "ENVIRONMENTS", {fake.name: fake for fake in made})
    monkeypatch.setattr(environments, "here", lambda: [])


# The catalogue


def test_the_catalogue_has_each_recipe_with_its_marks(committed):
    committed(
        trial(RECIPE, "tf-2.8", verdict=FAILS),
        trial(REPAIR, "tf-2.8"),
        trial(BASELINE, "keras-3.15-tensorflow", verdict=WRONGLY),
    )
    result = kelbo("recipes")
    assert result.code == 0
    lines = {line.split()[0]: line.split() for line in result.out.splitlines() if line.strip()}
    assert set(CATALOGUE) <= set(lines)
    assert lines["1-loss-closure"][-6:] == ["✗", "→", "✓", "?", "→", "?"]
    assert lines["0-autoencoder"][-2:] == ["?", "≠"]
    assert "[mu, log_var]" in result.out
    assert "✓ works" in result.err


@pytest.mark.parametrize("name", ["1-loss-closure", "loss-closure", "1"])
@pytest.mark.parametrize(("option", "script"), [([], RECIPE), (["--repair"], REPAIR)])
def test_show_prints_the_script_and_nothing_else_so_that_it_can_be_kept(name, option, script):
    result = kelbo("recipes", "show", name, *option)
    assert (result.code, result.err) == (0, "")
    assert result.out == script.path.read_text(encoding="utf-8")


def test_a_recipe_without_a_repair_has_none_to_show():
    message = refused("recipes", "show", "6", "--repair", code=2)
    assert "6-encoder-layer has no repair" in message


@pytest.mark.parametrize("command", [("show",), ("run",), ("run", "2"), ("bisect",)], ids=" ".join)
def test_an_unknown_recipe_names_the_nearest(command):
    message = refused("recipes", *command, "los-closure", code=2)
    assert "There is no recipe 'los-closure'. Did you mean '1-loss-closure'?" in message


# Environments


def test_environments_say_what_is_built_and_how_much_space_it_takes(monkeypatch, tmp_path, table):
    built = environment("built", title="The built", python="3.7")
    missing = environment("missing")
    here = environment("here-jax", interpreter=sys.executable)
    monkeypatch.setattr(
        environments, "ENVIRONMENTS", {fake.name: fake for fake in (built, missing)}
    )
    monkeypatch.setattr(environments, "here", lambda: [here])
    cache = Cache(tmp_path / "other")
    cache.directory(built).mkdir(parents=True)
    (cache.directory(built) / "file").write_bytes(b"x" * 2_000_000)
    cache.finish(built, {})
    result = kelbo("recipes", "environments", "--json", "--cache", tmp_path / "other")
    assert result.code == 0
    assert result.json["cache"] == str(tmp_path / "other")
    rows = {row.pop("name"): row for row in result.json["environments"]}
    assert list(rows) == ["built", "missing", "here-jax"]
    taken = rows["built"].pop("bytes")
    assert taken == pytest.approx(2_000_000, rel=0.05)
    assert rows["built"] == {"title": "The built", "python": "3.7", "built": True}
    assert (rows["missing"]["built"], rows["missing"]["bytes"]) == (False, 0)
    assert (rows["here-jax"]["built"], rows["here-jax"]["bytes"]) == (True, 0)
    text = kelbo("recipes", "environments", "--cache", tmp_path / "other")
    states = {line.split()[0]: line.split("Python ")[1] for line in text.out.splitlines()}
    assert states["built"].split(maxsplit=1) == ["3.7", "2 MB"]
    assert states["missing"].split(maxsplit=1) == ["3.11", "not built"]
    assert states["here-jax"].split(maxsplit=1) == ["3.11", "here"]
    assert f"In {tmp_path / 'other'}: 2 MB" in text.err


# Running


def test_run_measures_every_cell_and_counts_the_verdicts(table):
    result = kelbo("recipes", "run", "1")
    assert result.code == 0
    counts = dict(line.rsplit(maxsplit=1) for line in result.out.splitlines())
    # Two scripts in two modes, right and wrong; on JAX the repaired one alone.
    assert counts == {"works": "5", "works, wrongly": "0", "fails": "4", "not available": "1"}
    lines = [line.split() for line in result.err.splitlines() if line[0] in "✓✗·"]
    assert ["✓", "right", "on", "1-loss-closure", "works"] in lines
    assert ["✓", "right", "off", "1-loss-closure,", "repaired", "works"] in lines
    assert [
        "✗",
        "wrong",
        "on",
        "1-loss-closure",
        *"TypeError: You are passing KerasTensor".split(),
    ] in lines
    assert sum(line[1] == "jax" for line in lines) == 2
    assert "Traceback" not in result.err


def test_run_keeps_to_the_environments_and_the_mode_that_it_is_given(table):
    result = kelbo("recipes", "run", "1", "--env", "wrong", "--eager", "off", "--json")
    cells = [(t["script"], t["environment"], t["mode"]) for t in result.json["trials"]]
    assert cells == [("recipe", "wrong", "off"), ("repair", "wrong", "off")]
    assert result.json["trials"][0]["error"]["message"] == "You are passing KerasTensor"


def test_json_has_no_nan(table, tmp_path):
    body = writes(a_result(losses=[float("nan"), 1.0]))
    interpreter(tmp_path / "right" / "python", body)
    result = kelbo("recipes", "run", "0", "--env", "right", "--json")
    assert result.code == 0
    assert result.json["trials"][0]["measured"]["losses"] == [None, 1.0]


def test_a_second_run_asks_no_interpreter(table, tmp_path):
    first = kelbo("recipes", "run", "1", "--json")
    for name in ("right", "wrong"):
        (tmp_path / name / "python").unlink()
    assert kelbo("recipes", "run", "1", "--json").json == first.json
    fresh = kelbo("recipes", "run", "1", "--json", "--fresh").json
    assert {found["verdict"] for found in fresh["trials"]} == {NOT_AVAILABLE}


def test_an_unknown_environment_names_the_nearest(table):
    message = refused("recipes", "run", "--env", "rihgt", code=2)
    assert "There is no environment 'rihgt'. Did you mean 'right'?" in message


def test_eager_off_where_there_is_no_switch_is_wrong_usage(table):
    message = refused("recipes", "run", "--env", "jax", "--eager", "off", code=2)
    assert "Only TensorFlow can switch it off" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [("--eager", "maybe"), ("--jobs", "0"), ("--time-limit", "0"), ("--format", "pdf")],
)
def test_an_impossible_option_is_wrong_usage(table, option, value):
    command = "table" if option == "--format" else "run"
    result = kelbo("recipes", command, option, value)
    assert (result.code, result.out) == (2, "")
    assert option in result.err


def test_an_environment_that_cannot_be_built_is_told_and_is_no_failure(table, monkeypatch):
    def unavailable(environment, cache):
        raise UnavailableError("no network: cannot reach https://pypi.org")

    monkeypatch.setattr(matrix, "build", unavailable)
    broken = environment("broken", title="The broken")
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"broken": broken})
    result = kelbo("recipes", "run", "0", "--eager", "on")
    assert result.code == 0
    assert "not available   1" in result.out
    assert "Building broken: The broken, Python 3.11" in result.err
    assert "· broken" in result.err
    assert "no network: cannot reach https://pypi.org" in result.err


def test_what_is_built_is_told_with_the_space_it_takes(table, monkeypatch, tmp_path):
    def build(environment, cache):
        (cache.directory(environment) / "bin").mkdir(parents=True)
        (cache.directory(environment) / "file").write_bytes(b"x" * 3_000_000)
        interpreter(cache.python(environment), writes(a_result()))
        cache.finish(environment, {})

    monkeypatch.setattr(matrix, "build", build)
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"new": environment("new")})
    result = kelbo("recipes", "run", "0", "--eager", "on")
    assert "works           1" in result.out
    assert "Built new: 3 MB; all environments: 0.0 GB" in result.err


def test_results_that_cannot_be_kept_are_told_once(table, tmp_path):
    (tmp_path / "cache" / "recipes").mkdir(parents=True)
    (tmp_path / "cache" / "recipes" / "trials").write_text("in the way")
    result = kelbo("recipes", "run", "1", "--env", "right")
    assert result.code == 0
    assert "works           4" in result.out
    assert result.err.count("Results cannot be kept for the next run") == 1


def test_check_names_the_cell_whose_verdict_is_another(table, committed):
    known = [trial(RECIPE, "wrong", mode, FAILS) for mode in ("on", "off")]
    committed(*known, trial(REPAIR, "wrong", "on", WRONGLY, "The loss did not fall"))
    result = kelbo("recipes", "run", "1", "--env", "wrong", "--check")
    assert result.code == 1
    errors = result.err[result.err.index("\nError: ") + 1 :].splitlines()
    assert errors == [
        "Error: These verdicts are not the ones that kelbo comes with:",
        "1-loss-closure repair wrong on: was works, wrongly (The loss did not fall); "
        "is fails (TypeError: You are passing KerasTensor)",
        "1-loss-closure repair wrong off: was not measured; "
        "is fails (TypeError: You are passing KerasTensor)",
    ]


def test_check_is_content_where_every_verdict_is_the_same(table, committed):
    committed(trial(BASELINE, "right", "on"), trial(RECIPE, "right", "on", FAILS))
    result = kelbo("recipes", "run", "0", "--env", "right", "--eager", "on", "--check")
    assert result.code == 0
    assert "All 1 verdicts are the ones that kelbo comes with." in result.err


def test_save_puts_new_results_beside_the_old_ones(table, tmp_path):
    path = tmp_path / "folder" / "results.json"
    kelbo("recipes", "run", "1", "--env", "wrong", "--eager", "on", "--save", path)
    kelbo("recipes", "run", "1", "0", "--env", "right", "--eager", "on", "--save", path)
    stored = Matrix.from_json(path.read_text(), "x")
    assert sorted((t.recipe[0], t.script, t.environment, t.verdict) for t in stored.trials) == [
        ("0", "recipe", "right", WORKS),
        ("1", "recipe", "right", WORKS),
        ("1", "recipe", "wrong", FAILS),
        ("1", "repair", "right", WORKS),
        ("1", "repair", "wrong", FAILS),
    ]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b'{"trials": []}'])
@pytest.mark.parametrize("command", [("run", "--save"), ("table", "--results")])
def test_damaged_results_are_refused_before_any_work(table, tmp_path, content, command):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    message = refused("recipes", *command, path, code=1)
    assert f"{path} holds no results of the recipes lab" in message
    assert path.read_bytes() == content


def test_ctrl_c_says_that_what_was_measured_is_kept(table, monkeypatch, heeding_ctrl_c):
    def press(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(Lab, "_measure", press)
    result = kelbo("recipes", "run", "1", "--env", "right")
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(
        "Error: Interrupted. What was measured is kept; the same command goes on from there.\n"
    )


# The table


@pytest.mark.parametrize(
    ("format", "begins"),
    [("md", "# The recipes, measured\n"), ("html", "<!DOCTYPE html>\n"), ("json", "{\n")],
)
def test_the_table_comes_in_three_formats(committed, tmp_path, format, begins):
    committed(trial(RECIPE, "tf-2.8", verdict=FAILS, reason="TypeError: it is broken"))
    result = kelbo("recipes", "table", "--format", format)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(begins)
    assert "TypeError: it is broken" in result.out
    written = tmp_path / f"recipes.{format}"
    assert kelbo("recipes", "table", "--format", format, "--out", written).out == ""
    assert written.read_text(encoding="utf-8") == result.out


def test_the_table_of_other_results(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(Matrix({"system": "Mine", "cores": 1}, (trial(),)).to_json())
    result = kelbo("recipes", "table", "--results", path)
    assert "Measured 2026-11-23 on Mine, 1 cores" in result.out


def test_results_that_are_not_there_are_named(tmp_path):
    message = refused("recipes", "table", "--results", tmp_path / "no.json", code=1)
    assert f"No such file or directory ({tmp_path / 'no.json'})" in message


# The history


@pytest.fixture
def world(monkeypatch):
    """The recipe broke in TensorFlow 2.3.1."""
    world = World(TITLES.index("TensorFlow 2.3.1"))
    monkeypatch.setattr(Lab, "run", lambda lab, cells: world.run(cells))
    return world


def test_bisect_tells_the_release_before_and_the_one_after(world):
    result = kelbo("recipes", "bisect", "1", "--script", "recipe", "--mode", "default")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()] == [
        ["1-loss-closure,", "default:"],
        ["TensorFlow", "2.3.0", "works", "works", "it", "is"],
        ["TensorFlow", "2.3.1", "fails", "fails", "it", "is"],
    ]
    assert {cell.script for cell in world.asked} == {RECIPE}


def test_bisect_looks_at_both_scripts_and_both_modes_if_not_told(world):
    result = kelbo("recipes", "bisect", "1", "--json")
    found = [(change["script"], change["mode"]) for change in result.json["changes"]]
    assert sorted(found) == [
        ("recipe", "default"),
        ("recipe", "off"),
        ("repair", "default"),
        ("repair", "off"),
    ]
    assert {change["after"]["release"] for change in result.json["changes"]} == {"TensorFlow 2.3.1"}


def test_bisect_says_where_nothing_changed(world):
    world.turn = len(TITLES)
    result = kelbo("recipes", "bisect", "6", "--mode", "off")
    assert result.out == ("6-encoder-layer, off: the same verdict in every available release\n")


def test_bisect_saves_into_the_history_that_is_there(world, tmp_path):
    path = tmp_path / "history.json"
    for name in ("3", "1", "1"):
        kelbo("recipes", "bisect", name, "--script", "recipe", "--save", path)
    stored = from_json(path.read_text(), "x")
    assert [change.line for change in stored] == [
        ("1-loss-closure", "recipe", "default"),
        ("1-loss-closure", "recipe", "off"),
        ("3-add-loss-kl", "recipe", "default"),
        ("3-add-loss-kl", "recipe", "off"),
    ]


def test_bisect_of_repairs_that_do_not_exist_is_wrong_usage(world):
    assert "need no repair" in refused("recipes", "bisect", "6", "--script", "repair", code=2)
    assert world.asked == []


@pytest.mark.parametrize("content", [b"{", b"\xff", b"{}x"])
def test_a_damaged_history_is_refused_before_any_work(world, tmp_path, content):
    path = tmp_path / "history.json"
    path.write_bytes(content)
    message = refused("recipes", "bisect", "1", "--save", path, code=1)
    assert f"{path} holds no history of the recipes lab" in message
    assert world.asked == []


# Cleaning


def put(cache, fake, size):
    cache.directory(fake).mkdir(parents=True)
    (cache.directory(fake) / "file").write_bytes(b"x" * size)
    cache.finish(fake, {})


def test_clean_frees_the_space_and_says_how_much(tmp_path):
    cache = Cache(tmp_path / "cache" / "recipes")
    put(cache, environment(), 5_000_000)
    result = kelbo("recipes", "clean")
    assert result.code == 0
    assert "uv cache clean" in result.err
    assert result.out == f"Removed 5 MB from {cache.path}\n"
    assert kelbo("recipes", "clean").out == f"Removed 0 MB from {cache.path}\n"


def test_clean_leaves_what_is_in_use(tmp_path):
    cache = Cache(tmp_path / "cache" / "recipes")
    fake = environment("busy")
    put(cache, fake, 10)
    with cache.hold(fake, lambda: None):
        message = refused("recipes", "clean", code=1)
    assert f"In use by another run of kelbo, and kept: busy-{fake.fingerprint}." in message
    assert cache.is_built(fake)
