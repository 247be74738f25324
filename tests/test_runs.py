import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from kelbo.errors import RunError, UsageError
from kelbo.files import replacing, write_text
from kelbo.runs import (
    ARRAYS,
    CONFIG,
    ENVIRONMENT,
    EVALUATION,
    FILES,
    LOCK,
    METRICS,
    MODEL,
    PICTURES,
    REPORT,
    RunDirectory,
    default_name,
)


@pytest.fixture
def run(tmp_path):
    run = RunDirectory.create(tmp_path / "run")
    run.write_config({"kelbo": "0.1.0", "model": {"latent_dim": 16}})
    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# replacing: the old file or the new one, never half of one.


def test_replacing_moves_the_file_into_place(tmp_path):
    target = tmp_path / "deep" / "down" / "note.txt"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["note.txt"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit])
def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path, interruption):
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(interruption):
        with replacing(target) as temporary:
            temporary.write_text("half of the ne")
            raise interruption
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path):
    target = tmp_path / "note.txt"
    target.write_text("old")
    script = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from kelbo.files import replacing
        with replacing(pathlib.Path(sys.argv[1])) as temporary:
            temporary.write_text("half of the ne")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", script, str(target)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX locks")
def test_a_run_that_is_opened_is_cleared_of_what_a_kill_left_and_of_nothing_else(tmp_path):
    run = RunDirectory.create(tmp_path / "run")
    run.write_config({"kelbo": "0"})
    run.file("pictures").mkdir()
    left = [".model-0123abcd.keras", ".metrics-0123abcd.csv", "pictures/.losses-0123abcd.png"]
    others = [".notes-0123abcd.txt", ".model-mine.keras", "pictures/losses.png"]
    for name in (*left, *others):
        run.file(name).write_text("")
    with replacing(run.file("model.keras")) as being_written:
        RunDirectory.open(run.path)
        assert being_written.exists()
        assert [run.file(name).exists() for name in left] == [False] * 3
        assert [run.file(name).exists() for name in others] == [True] * 3


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder closed to everyone")
def test_a_place_where_nothing_can_be_written_is_refused_at_once(tmp_path):
    with pytest.raises(RunError, match="Nothing can be written in /proc .*Choose another folder"):
        RunDirectory.check_place("/proc/runs/first")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="found a file"):
        RunDirectory.check_place(tmp_path / "file" / "run")
    RunDirectory.check_place(tmp_path / "new" / "run")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX file modes")
def test_replacing_gives_the_mode_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_text(tmp_path / "replaced", "")
    assert (tmp_path / "replaced").stat().st_mode == ordinary.stat().st_mode


def test_a_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="Expected the name of a file.*a pipe or a device"):
        write_text(pipe, "new")
    assert pipe.is_fifo()
    with pytest.raises(UsageError, match="a folder"):
        write_text(tmp_path, "new")


def test_a_file_that_cannot_be_written_is_called_by_its_own_name(tmp_path):
    with pytest.raises(OSError) as error:
        write_text(Path(f"{tmp_path}/{'n' * 300}"), "new")
    assert error.value.filename == f"{tmp_path}/{'n' * 300}"


def test_write_text_is_utf8(tmp_path):
    write_text(tmp_path / "note.txt", "β = 1 − ε")
    assert (tmp_path / "note.txt").read_bytes() == "β = 1 − ε".encode()


def test_default_name():
    moment = datetime(2026, 11, 23, 14, 5, 33)
    assert default_name("mnist", "vae", moment) == "mnist-vae-2026-11-23-14h05m33"
    assert default_name("/home/ada/faces.npz", "ae", moment) == "faces-ae-2026-11-23-14h05m33"
    assert default_name("", "ae", moment).startswith("data-ae-")


# create and open.


@pytest.mark.parametrize("exists", [False, True])
def test_create_makes_a_run_where_nothing_is(tmp_path, exists):
    path = tmp_path / "runs" / "first"
    if exists:
        path.mkdir(parents=True)
    assert RunDirectory.create(path).path == path
    assert path.is_dir()


@pytest.mark.parametrize("force", [False, True])
def test_create_refuses_what_is_no_run(tmp_path, force):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty and is not a run.*--out"):
        RunDirectory.create(tmp_path, force=force)
    with pytest.raises(RunError, match="found a file"):
        RunDirectory.create(tmp_path / "diary.txt", force=force)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_create_refuses_a_run_that_is_there(run):
    with pytest.raises(RunError, match="already holds a run.*--force"):
        RunDirectory.create(run.path)
    assert run.read_config() == {"kelbo": "0.1.0", "model": {"latent_dim": 16}}


def test_of_two_that_begin_at_once_one_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "run"
    monkeypatch.setattr(RunDirectory, "check_place", lambda *place: path.mkdir())
    with pytest.raises(RunError, match="Another process has just begun a run"):
        RunDirectory.create(path)


def test_force_does_not_touch_the_configuration_of_another_program(tmp_path):
    (tmp_path / CONFIG).write_text('title = "my site"')
    (tmp_path / PICTURES).mkdir()
    (tmp_path / PICTURES / "holiday.png").write_text("mine")
    with pytest.raises(RunError, match="is not a run"):
        RunDirectory.create(tmp_path, force=True)
    assert (tmp_path / PICTURES / "holiday.png").read_text() == "mine"


def test_force_clears_the_files_of_the_run_and_nothing_else(run):
    for name in FILES:
        if name != CONFIG:
            run.file(name).write_text("old")
    run.file(".model-a1b2c3d4.keras").write_text("what a killed process left behind")
    run.file(PICTURES).mkdir()
    (run.file(PICTURES) / "samples.png").write_text("old")
    (run.file(PICTURES) / "mine.svg").write_text("mine")
    run.file("diary.txt").write_text("mine")
    RunDirectory.create(run.path, force=True)
    # The configuration stays until the new one replaces it, so that a kill leaves a run.
    assert names(run.path) == [CONFIG, "diary.txt", PICTURES]
    assert names(run.file(PICTURES)) == ["mine.svg"]


def test_open(run, tmp_path):
    assert RunDirectory.open(str(run.path)).path == run.path
    with pytest.raises(RunError, match="no run at .*`kelbo train --out"):
        RunDirectory.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="not a run directory.*`kelbo train`"):
        RunDirectory.open(tmp_path / "empty")


# Round trips.


def test_config_round_trip_without_none(run):
    config = {
        "kelbo": "0.1.0",
        "data": {"source": 'C:\\photos "of" ß', "crop": None},
        "training": {"learning_rate": 1e-3, "epochs": 3, "shuffle": True, "sizes": [1, 2]},
        "schedule": None,
    }
    run.write_config(config)
    del config["data"]["crop"], config["schedule"]
    assert run.read_config() == config


@pytest.mark.parametrize("name", [EVALUATION, ENVIRONMENT])
def test_json_round_trip(run, name):
    content = {"elbo": -103.41, "notes": ["β"], "active_dimensions": [0, 2], "nested": {"a": None}}
    run.write_json(name, content)
    assert run.read_json(name) == content
    assert "β" in run.file(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_json(run, value):
    run.write_json(EVALUATION, {"elbo": -1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_json(EVALUATION, {"elbo": value})
    assert run.read_json(EVALUATION) == {"elbo": -1.0}


def test_metrics_round_trip(run):
    run.write_metrics([{"epoch": 1, "elbo": -120.25}, {"epoch": 2, "elbo": 0.1 + 0.2}])
    assert run.read_metrics() == {"epoch": [1.0, 2.0], "elbo": [-120.25, 0.1 + 0.2]}


def test_metrics_keep_nan_and_what_a_row_lacks_is_nan(run):
    run.write_metrics([{"epoch": 1, "elbo": math.nan, "val_elbo": -1.0}, {"epoch": 2, "elbo": -2}])
    metrics = run.read_metrics()
    np.testing.assert_equal(metrics["elbo"], [math.nan, -2.0])
    np.testing.assert_equal(metrics["val_elbo"], [-1.0, math.nan])


def test_arrays_round_trip(run):
    arrays = {
        "originals": np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 2, 2, 3),
        "latent_labels": np.array([3, 1]),
        "label_names": np.array(["daisy", "Gänseblümchen"]),
    }
    run.write_arrays(arrays)
    read = run.read_arrays()
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    assert names(run.path) == [ARRAYS, CONFIG]


def test_arrays_refuse_pickles_both_ways(run):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        run.write_arrays({"objects": np.array([{}], dtype=object)})
    assert names(run.path) == [CONFIG]
    np.savez(run.file(ARRAYS), objects=np.array([{}], dtype=object))
    with pytest.raises(RunError, match="damaged.*objects holds Python objects"):
        run.read_arrays()


# Missing and damaged files say so and name the cure.


def read(run, name):
    return {
        CONFIG: run.read_config,
        METRICS: run.read_metrics,
        ARRAYS: run.read_arrays,
    }.get(name, lambda: run.read_json(name))()


@pytest.mark.parametrize(
    "name, cure",
    [
        (CONFIG, "A run is what `kelbo train` writes"),
        (METRICS, "did not finish its first epoch"),
        (ENVIRONMENT, "did not finish its first epoch"),
        (EVALUATION, "`kelbo evaluate "),
        (ARRAYS, "`kelbo evaluate "),
    ],
)
def test_a_missing_file(tmp_path, name, cure):
    with pytest.raises(RunError) as caught:
        read(RunDirectory(tmp_path), name)
    assert f"has no {name}" in str(caught.value)
    assert cure in str(caught.value)


DAMAGED = [
    (CONFIG, b"[model\nlatent_dim = 16", "choices that it was made with"),
    (CONFIG, b"name = '\xff'", "choices that it was made with"),
    (METRICS, b"", "kelbo train --config"),
    (METRICS, b"epoch,elbo\n", "kelbo train --config"),
    (METRICS, b"epoch,elbo\n1,-100\n2", "kelbo train --config"),
    (METRICS, b"epoch,elbo\n1,many\n", "kelbo train --config"),
    (METRICS, b"epoch,elbo\n1,2,3\n", "kelbo train --config"),
    (METRICS, b"epoch,elbo\n1," + b"9" * 200_000, "kelbo train --config"),
    (METRICS, b"epoch," * 1001 + b"elbo\n1", "1,002 columns"),
    (METRICS, b"epoch,elbo\n" + b"1,2\n" * 2**23, "33,554,443 bytes, expected at most 33,554,432"),
    (CONFIG, b"a = " + b"[" * 10_000, "choices that it was made with"),
    (CONFIG, b"#" * (2**22 + 1), "4,194,305 bytes, expected at most 4,194,304"),
    (EVALUATION, b"[" * 100_000, "kelbo evaluate"),
    (EVALUATION, b'{"elbo": ' + b"9" * 10_000 + b"}", "kelbo evaluate"),
    (EVALUATION, b'{"elbo": -10', "kelbo evaluate"),
    (EVALUATION, b"[1, 2]", "one JSON object"),
    (ENVIRONMENT, b"\xff\xfe", "kelbo train --config"),
    (ARRAYS, b"", "kelbo evaluate"),
    (ARRAYS, b"PK\x03\x04 and then nothing", "kelbo evaluate"),
]


@pytest.mark.parametrize("name, content, cure", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file(run, name, content, cure):
    run.file(name).write_bytes(content)
    with pytest.raises(RunError) as caught:
        read(run, name)
    assert f"{run.file(name)} is damaged" in str(caught.value)
    assert "Restore it from a copy" in str(caught.value)
    assert cure in str(caught.value)


def test_arrays_that_unpack_beyond_measure_are_damage(run):
    np.savez_compressed(run.file(ARRAYS), originals=np.zeros(2**26, np.uint8))
    with pytest.raises(RunError, match="damaged.*entries would take 67,"):
        run.read_arrays()


def test_blank_lines_of_a_table_say_nothing(run):
    run.file(METRICS).write_bytes(b"epoch,elbo\n1,-2\n\n2,-1\n\n")
    assert run.read_metrics() == {"epoch": [1.0, 2.0], "elbo": [-2.0, -1.0]}


def test_one_bare_array_is_damage(run):
    with run.file(ARRAYS).open("wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(RunError, match="one array without a name"):
        run.read_arrays()


def test_arrays_with_flipped_bytes_are_read_or_refused(run):
    run.write_arrays({"a": np.arange(60.0).reshape(20, 3), "b": np.arange(5)})
    whole = run.file(ARRAYS).read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(3):
            content[chance.randrange(len(content))] = chance.randrange(256)
        run.file(ARRAYS).write_bytes(content)
        try:
            run.read_arrays()
        except RunError:
            refused += 1
    assert refused > 300


def test_arrays_with_an_unknown_compression_are_damage(run):
    run.write_arrays({"a": np.arange(5)})
    content = bytearray(run.file(ARRAYS).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + offset] = 77
    run.file(ARRAYS).write_bytes(content)
    with zipfile.ZipFile(run.file(ARRAYS)) as archive, pytest.raises(NotImplementedError):
        archive.open("a.npy")
    with pytest.raises(RunError, match="damaged"):
        run.read_arrays()


def test_the_names_of_the_files():
    assert FILES == (CONFIG, MODEL, METRICS, ENVIRONMENT, EVALUATION, ARRAYS, REPORT)


def test_a_written_file_has_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_writing_leaves_the_umask_of_the_process_alone(tmp_path, monkeypatch):
    """It belongs to every thread: one that sets it for a moment may make that last for ever."""
    monkeypatch.setattr(os, "umask", None)
    write_text(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a"


def test_a_run_that_is_being_trained_is_not_begun_again(tmp_path):
    run = RunDirectory.create(tmp_path / "run")
    run.write_config({"kelbo": "1"})
    with run.training():
        with pytest.raises(RunError, match="is being trained at this moment"):
            RunDirectory.check_place(run.path, force=True)
        RunDirectory.open(run.path)  # reading is free
        with pytest.raises(RunError, match="is being trained at this moment"):
            RunDirectory.create(run.path, force=True)
    assert sorted(each.name for each in run.path.iterdir()) == ["config.toml"]
    run.file(LOCK).touch()  # as a kill leaves it
    RunDirectory.open(run.path)
    assert not run.file(LOCK).exists()
