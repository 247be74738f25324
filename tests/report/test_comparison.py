import numpy as np
import pytest

from kelbo.report.comparison import compare
from kelbo.report.comparison_page import missing, write_comparison
from kelbo.report.contents import read_contents
from kelbo.runs import ARRAYS, EVALUATION
from tests.report.conftest import a_config, a_run, an_evaluation, some_arrays
from tests.report.test_page import Page


@pytest.fixture
def two(tmp_path):
    """Two runs; the second has another beta and a higher ELBO."""
    first, second = a_run(tmp_path / "first"), a_run(tmp_path / "second")
    config = a_config()
    config["model"] |= {"preset": "beta-vae", "options": {"beta": 4.0}}
    second.write_config(config)
    second.write_json(EVALUATION, an_evaluation() | {"elbo": -101.0, "elbo_error": 0.5})
    return first, second


def compared(*runs):
    return compare([read_contents(run) for run in runs])


def row(found, name):
    (wanted,) = (each for each in (*found.choices, *found.figures) if each.name == name)
    return wanted


def best(found, name):
    return [cell.best for cell in row(found, name).cells]


def test_the_best_is_marked_and_the_choices_that_differ_are_rows(two):
    found = compared(*two)
    assert found.differences == []
    elbo = row(found, "ELBO")
    assert [cell.shown for cell in elbo.cells] == ["-103.41", "-101.00 ± 0.50"]
    assert (elbo.unit, elbo.better) == ("nats", "higher")
    assert best(found, "ELBO") == [False, True]
    # As good as each other, and neither better.
    assert best(found, "Reconstruction") == [True, True]
    assert best(found, "KL divergence") == [False, False]
    assert [cell.shown for cell in row(found, "Model").cells] == ["vae", "beta-vae"]
    assert [cell.shown for cell in row(found, "model.options.beta").cells] == ["", "4.0"]
    assert row(found, "Epochs").cells[0].shown == "2"
    assert row(found, "Training").cells[0].value == pytest.approx(42.5)
    assert not any(each.name.startswith("training.") for each in found.choices)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"data": {"source": "cifar10", "binarization": "none"}}, "source (A: mnist; B: cifar10)"),
        ({"data": {"source": "mnist", "binarization": "dynamic"}}, "binarization (A: none"),
    ],
)
def test_other_test_images_are_said_first_and_nothing_is_marked(two, change, words):
    two[1].write_config(a_config() | change)
    found = compared(*two)
    assert found.differences[0].title == "Different test images" and found.differences[0].grave
    assert words in found.differences[0].text
    assert not any(cell.best for each in found.figures for cell in each.cells)


def test_another_number_of_test_images_or_other_pictures_are_other_test_images(two):
    two[1].write_json(EVALUATION, an_evaluation() | {"images": 500})
    assert "number of test images (A: 10000; B: 500)" in compared(*two).differences[0].text
    two[1].write_json(EVALUATION, an_evaluation())
    arrays = some_arrays()
    two[1].write_arrays(arrays | {"originals": 1.0 - arrays["originals"]})
    found = compared(*two)
    assert "the test images themselves" in found.differences[0].text
    assert not found.same_images


def test_other_seeds_of_a_binarisation_are_other_test_images(two):
    for seed, run in enumerate(two):
        config = a_config()
        config["data"]["binarization"] = "dynamic"
        config["training"]["seed"] = seed
        run.write_config(config)
    assert "seed of the binarisation (A: 0; B: 1)" in compared(*two).differences[0].text


def test_other_likelihoods_leave_log_p_unmarked_and_other_draws_their_bound(two):
    for name, run in zip(("bernoulli", "gaussian-shared"), two, strict=True):
        config = a_config()
        config["model"]["likelihood"] = name
        run.write_config(config)
        run.write_json(EVALUATION, an_evaluation() | {"mse": 0.1 if name == "bernoulli" else 0.2})
    found = compared(*two)
    assert [notice.title for notice in found.differences] == ["Different likelihoods"]
    assert best(found, "ELBO") == [False, False]
    assert best(found, "Mean squared error") == [True, False]
    two[0].write_json(EVALUATION, an_evaluation() | {"num_samples": 50})
    cells = row(compared(*two), "Importance-weighted bound").cells
    assert [cell.shown for cell in cells] == ["-99.83 (K = 50)", "-99.83 (K = 16)"]
    assert not any(cell.best for cell in cells)


def test_what_is_missing_says_why(two):
    autoencoder = an_evaluation()
    for key in ("elbo", "kl", "kl_per_dimension", "importance_weighted_bound"):
        del autoencoder[key]
    two[1].write_json(EVALUATION, autoencoder)
    reasons = missing(compared(*two))
    assert "B has no ELBO; Importance-weighted bound, K = 16; KL divergence: it needs a prior." in (
        reasons
    )
    two[1].file(EVALUATION).unlink()
    assert any(
        f"not evaluated yet: kelbo evaluate {two[1].path}" in r for r in missing(compared(*two))
    )


def test_the_page_is_whole_and_holds_everything(two, tmp_path):
    two[0].write_json(EVALUATION, an_evaluation() | {"elbo": -99.0})
    out = tmp_path / "<b>" / "page.html"
    write_comparison(compared(*two), out)
    page = Page(out.read_text(encoding="utf-8"))
    assert "2 runs side by side" in page.text
    assert page.text.count("best") >= 1 and "−99.00" in page.text
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    # Test images once, and of each run reconstructions and samples.
    assert len(images) == 5
    assert all(each["src"].startswith("data:") and each["alt"] for each in images)
    assert "<script" not in page.html and "http" not in page.html
    arrays = some_arrays()
    two[1].write_arrays(arrays | {"originals": np.float32(1.0) - arrays["originals"]})
    two[0].file(ARRAYS).unlink()
    write_comparison(compared(*two), out)
    page = Page(out.read_text(encoding="utf-8"))
    assert "Without pictures, until kelbo evaluate makes them: A." in page.text
