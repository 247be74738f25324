import json

import numpy as np
import pytest

from tests.cli.program import kelbo, refused


def test_the_report_is_written_again_from_what_is_stored(run):
    (run / "report.html").unlink()
    result = kelbo("report", run)
    assert (result.code, result.out, result.err) == (0, f"{run / 'report.html'}\n", "")
    assert (run / "report.html").is_file()


@pytest.mark.parametrize(
    "missing", ["evaluation.json", "arrays.npz", "metrics.csv", "environment.json"]
)
def test_what_is_missing_is_left_out(run, missing):
    (run / missing).unlink()
    assert kelbo("report", run).code == 0


DAMAGE = [
    ("config.toml", "= ="),
    ("metrics.csv", ""),
    ("metrics.csv", "epoch,loss\n1,much"),
    ("metrics.csv", "loss\n1"),
    ("metrics.csv", "epoch,loss\nnan,1"),
    ("environment.json", "[]"),
    ("environment.json", "{"),
    ("evaluation.json", ""),
    ("evaluation.json", "[1]"),
    ("arrays.npz", "PK"),
]


@pytest.mark.parametrize(("name", "content"), DAMAGE)
def test_a_damaged_file_is_named(run, name, content):
    (run / name).write_text(content)
    before = (run / "report.html").read_bytes()
    assert f"{name} is damaged" in refused("report", run, code=1)
    assert (run / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"elbo": "good"},
        {"elbo": [1]},
        {"elbo": True},
        {"images": {}},
        {"unit": 3},
        {"kl_per_dimension": 3},
        {"kl_per_dimension": [1, "x"]},
        {"kl_per_dimension": [1.0]},
        {"activity": [1]},
        {"active_dimensions": [7]},
        {"active_dimensions": ["0"]},
        {"active_units": "two"},
        {"floors": [1]},
        {"floors": {"pixel_entropy": "x"}},
        {"notes": "one"},
        {"effective_beta": "much"},
        {"effective_beta_note": 1},
        {"elbo": float("nan")},
    ],
    ids=str,
)
def test_figures_of_the_wrong_type_are_named(run, change):
    figures = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(figures | change))
    message = refused("report", run, code=1)
    assert "evaluation.json is damaged" in message or "arrays.npz is damaged" in message
    assert f"kelbo evaluate {run}" in message


ARRAYS = [
    {"originals": None},
    {"reconstructions": None},
    {"reconstructions": np.zeros((1, 2, 2, 1))},
    {"originals": np.zeros((20, 28, 28))},
    {"samples": np.zeros((4, 5, 5, 7))},
    {"samples": np.array(["a"])},
    {"traversal_dimensions": None},
    {"traversal_values": None},
    {"traversal_values": np.zeros(3)},
    {"traversal_dimensions": np.array([9, 8])},
    {"traversal_dimensions": np.array([0.5, 1.5])},
    {"traversals": np.zeros((2, 11, 28, 28))},
    {"latent_means": None},
    {"latent_means": np.array([["a", "b"]])},
    {"latent_means": np.zeros(3)},
    {"latent_labels": np.zeros(3, "int64")},
    {"latent_labels": np.array(["a"] * 32)},
    {"label_names": np.array([1, 2])},
]


@pytest.mark.parametrize("change", ARRAYS, ids=lambda change: next(iter(change)))
def test_arrays_that_do_not_fit_are_named(run, change):
    with np.load(run / "arrays.npz") as stored:
        arrays = dict(stored)
    # Whatever the small training made active, there is something to walk along.
    arrays["traversals"] = np.zeros((2, 11, 28, 28, 1), "float32")
    arrays["traversal_dimensions"] = np.array([1, 0])
    arrays["traversal_values"] = np.linspace(-2, 2, 11)
    arrays |= change
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(run / "arrays.npz", **kept)
    assert "arrays.npz is damaged" in refused("report", run, code=1)
