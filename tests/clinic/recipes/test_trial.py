import os
import signal
import subprocess
import threading
import time

import pytest

from kelbo.clinic.recipes.processes import StoppedError, run
from kelbo.clinic.recipes.trial import PROBE, try_script
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, WORKS, WRONGLY
from tests.clinic.recipes.support import executable, gone, interpreter, measured, raised, writes


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text("# a recipe\n")
    return path


@pytest.fixture
def attempt(tmp_path, script):
    """Try the script with a stand-in for an interpreter that does what `body` says."""

    def run_it(body, variables=None, **options):
        python = interpreter(tmp_path / "python", body)
        parity = tmp_path / "parity.npz"
        return try_script(script, parity, "on", python, variables or {}, **options)

    return run_it


def test_what_was_measured_comes_back_with_its_verdict(attempt):
    result = attempt(writes(measured()))
    assert (result["verdict"], result["reason"]) == (WORKS, "")
    assert result["losses"] == [0.6, 0.5, 0.4]


def test_nan_is_understood(attempt):
    result = attempt(writes(measured(losses=[0.5, float("nan")])))
    assert (result["verdict"], result["reason"]) == (
        WRONGLY,
        "The loss did not fall: 0.5000 -> nan.",
    )


def test_the_interpreter_is_isolated_and_given_all_the_probe_needs(attempt, tmp_path):
    told = tmp_path / "told"
    command = f'echo "$recipe $parity $mode" > {told}\n{writes(measured())}'
    assert attempt(command)["verdict"] == WORKS
    assert told.read_text() == f"{tmp_path}/recipe.py {tmp_path}/parity.npz on\n"
    python = executable(tmp_path / "other", f'echo "$@" > {told}; exit 1')
    try_script(tmp_path / "nothing.py", tmp_path / "parity.npz", "-", python, {})
    assert told.read_text().startswith(f"-I -B -W ignore {PROBE} ")


def test_a_recipe_that_raises_fails_with_its_message(attempt):
    result = attempt(writes(raised("TypeError", "You are passing KerasTensor", line=7)))
    assert (result["verdict"], result["reason"]) == (
        FAILS,
        "TypeError: You are passing KerasTensor",
    )
    assert result["error"]["line"] == 7


def test_a_trial_that_hangs_is_killed_with_its_children_and_grandchildren(attempt, tmp_path):
    numbers = tmp_path / "numbers"
    body = f'sh -c "sleep 60 & echo \\$! >> {numbers}; sleep 60" &\necho $! >> {numbers}\nsleep 60'
    start = time.monotonic()
    result = attempt(body, time_limit=0.5)
    assert time.monotonic() - start < 10.0
    assert (result["verdict"], result["reason"]) == (FAILS, "It did not finish in 0.5 s.")
    assert result["died"]
    started = [int(number) for number in numbers.read_text().split()]
    assert len(started) == 2
    assert all(map(gone, started))


def test_nothing_outlives_a_trial_that_ends_by_itself(attempt, tmp_path):
    number = tmp_path / "number"
    result = attempt(f"sleep 60 &\necho $! > {number}\n{writes(measured())}")
    assert result["verdict"] == WORKS
    assert gone(int(number.read_text()))


# A recipe that dies, in an environment where an empty script comes to its end.
ONLY_THE_RECIPE = 'case "$recipe" in */nothing.py) ' + writes(
    raised("AttributeError", "module 'recipe' has no attribute 'build'", "build")
)


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        ("kill -SEGV $$", "Its process was killed by SIGSEGV."),
        ("kill -40 $$", "Its process was killed by signal 40."),
        ("exit 3", "Its process ended with exit code 3 and without a result."),
        ("exit 0", "Its process ended with exit code 0 and without a result."),
        (
            'echo "Fatal: no memory" >&2; exit 1',
            "Its process ended with exit code 1 and without a result: Fatal: no memory",
        ),
        (
            'echo "{" > "$result"',
            "Its process ended with exit code 0 and without a result.",
        ),
        (
            'echo "[1]" > "$result"',
            "Its process ended with exit code 0 and without a result.",
        ),
    ],
)
def test_a_recipe_that_dies_fails_and_says_how(attempt, death, reason):
    result = attempt(f"{ONLY_THE_RECIPE}\n;; *) {death} ;; esac")
    assert (result["verdict"], result["reason"]) == (FAILS, reason)
    assert result["died"]


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_recipe_that_somebody_kills_has_not_failed(attempt, signal):
    result = attempt(f"{ONLY_THE_RECIPE}\n;; *) kill -{signal} $$ ;; esac")
    assert result["verdict"] == NOT_AVAILABLE
    assert result["reason"] == (
        f"Its process was killed by SIG{signal}, from outside: there may be too little memory."
    )


# Of TensorFlow 2.21 and 2.8.
LOG = """
I0000 00:00:1795460325.010654    8573 cudart_stub.cc:31] Could not find cuda drivers
WARNING:tensorflow:From a.py:3: f is deprecated
2026-11-23 18:59:01.123456: I tensorflow/core/platform/cpu_feature_guard.cc:151] AVX2
"""


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("", "Its process was killed by SIGABRT."),
        (
            "F0000 check failed: ret == 0",
            "Its process was killed by SIGABRT: F0000 check failed: ret == 0",
        ),
    ],
)
def test_what_a_framework_always_says_is_no_reason(attempt, last, reason):
    body = f"cat >&2 <<'END'\n{last}{LOG}END\nkill -ABRT $$"
    result = attempt(f"{ONLY_THE_RECIPE}\n;; *) {body} ;; esac".replace("$$ ;;", "$$\n;;"))
    assert (result["verdict"], result["reason"]) == (FAILS, reason)


def test_where_an_empty_script_dies_too_the_environment_is_not_available(attempt):
    """A TensorFlow for another processor, for one, dies when it is imported."""
    result = attempt("kill -ILL $$")
    assert result["verdict"] == NOT_AVAILABLE
    assert result["reason"] == ("The environment does not run. Its process was killed by SIGILL.")


def test_a_flood_of_output_is_neither_waited_for_nor_kept(attempt):
    body = f"dd if=/dev/zero bs=1M count=40 2>/dev/null | tr '\\0' x\n{writes(measured())}"
    assert attempt(body)["verdict"] == WORKS


def test_of_a_flood_the_end_is_kept(tmp_path):
    program = executable(tmp_path / "program", "seq 200000; echo e >&2")
    ended = run([program], 10.0, os.environ)
    assert ended.out.endswith("\n199999\n200000\n")
    assert len(ended.out) < 100_000
    assert (ended.code, ended.err) == (0, "e\n")


def test_an_interpreter_that_is_not_there_is_an_os_error(tmp_path, script):
    with pytest.raises(FileNotFoundError):
        try_script(script, tmp_path / "parity.npz", "on", tmp_path / "missing", {})


# Each of these would change what is measured.
LEAKS = {
    "KERAS_BACKEND": "torch",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cuda",
    "KERAS_HOME": "/home/somebody/.keras",
    "CUDA_VISIBLE_DEVICES": "0",
}


@pytest.fixture
def variables(attempt, tmp_path, monkeypatch):
    """The environment that a trial's process gets when the caller's is full of settings."""
    for name, value in LEAKS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LANG", "xx_XX.UTF-8")
    attempt(f"env > {tmp_path / 'env'}; {writes(measured())}", {"TF_USE_LEGACY_KERAS": "0"})
    return dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())


def test_the_callers_settings_do_not_reach_a_trial(variables):
    kept = {name: variables[name] for name in LEAKS if name in variables}
    assert kept == {
        "TF_USE_LEGACY_KERAS": "0",  # the environment's own
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "KERAS_HOME": kept["KERAS_HOME"],
    }
    assert "kelbo-trial-" in kept["KERAS_HOME"]
    assert variables["LANG"] == "xx_XX.UTF-8"


def test_a_trial_leaves_no_files_behind(attempt, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    result = attempt(f"pwd > {tmp_path / 'place'}; echo x > x; {writes(measured())}")
    assert result["verdict"] == WORKS
    assert (tmp_path / "place").read_text().startswith(str(temporary))
    assert list(temporary.iterdir()) == []


def test_a_stop_kills_what_runs(tmp_path):
    number = tmp_path / "number"
    program = executable(tmp_path / "program", f"echo $$ > {number}; sleep 60")
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    with pytest.raises(StoppedError):
        run([program], 30.0, os.environ, stop=stop)
    timer.join()
    assert gone(int(number.read_text()))


def test_a_program_that_leaves_its_session_is_not_waited_for(tmp_path):
    number = tmp_path / "number"
    escape = f"setsid sh -c 'echo $$ > {number}; sleep 60' &"
    wait = f"while [ ! -s {number} ]; do sleep 0.01; done; exit 5"
    program = executable(tmp_path / "program", f"{escape}\n{wait}")
    start = time.monotonic()
    assert run([program], 30.0, os.environ).code == 5
    assert time.monotonic() - start < 10.0
    os.kill(int(number.read_text()), signal.SIGKILL)


def test_output_that_is_not_text_is_no_reason_to_die(tmp_path):
    program = executable(tmp_path / "program", "printf '\\377ok'")
    assert run([program], 10.0, os.environ).out == "\ufffdok"


def test_a_time_limit_is_kept(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run([executable(tmp_path / "program", "sleep 60")], 0.1, os.environ)
