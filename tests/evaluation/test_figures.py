import json

import numpy as np
import pytest

from kelbo.cli.evaluate import figure_rows
from kelbo.evaluation import figures
from kelbo.evaluation.figure import Evaluated, Figure, Kind, Role
from kelbo.evaluation.figures import FIGURES, check, compute, latent_dim, most_informative_first
from kelbo.report.quantities import dimensions, quantities, reference_points


class OfNoBeta:
    current_beta = effective_beta = None


class Twenty:
    def count(self, part):
        return 20


def evaluated(**statistics):
    return Evaluated(OfNoBeta(), Twenty(), 10, 5, statistics)


def statistics(latent_shape):
    generator = np.random.default_rng(0)
    return {
        "reconstruction": -80.0 - generator.random(20),
        "bound": -85.0 - generator.random(20),
        "mean": generator.standard_normal((20, *latent_shape)) * [1.0, 0.01],
        "kl_per_dimension": generator.random((20, *latent_shape)),
    }


def test_keys_are_unique():
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize("latent_shape", [(4,), (2, 2), (1, 2, 2)])
def test_the_axes_of_z_are_flattened_row_by_row(latent_shape):
    each = statistics((2, 2))
    shaped = {
        name: values.reshape(20, *latent_shape) if values.ndim > 1 else values
        for name, values in each.items()
    }
    found = compute(evaluated(**shaped))
    assert found == compute(evaluated(**each))
    assert found["kl_per_dimension"][1] == pytest.approx(each["kl_per_dimension"][:, 0, 1].mean())
    assert found["active_dimensions"] == [0, 2]
    assert found["elbo"] == pytest.approx(found["reconstruction"] - sum(found["kl_per_dimension"]))
    check(json.loads(json.dumps(found, allow_nan=False)))


@pytest.mark.parametrize(
    "added",
    [
        Figure(
            "psnr",
            "Peak signal-to-noise ratio",
            lambda evaluated: evaluated.mean("psnr"),
            unit="dB",
            better="higher",
            meaning="Of the reconstructions.",
        ),
        Figure(
            "nearest_neighbour",
            "Nearest neighbour",
            lambda evaluated: evaluated.mean("psnr"),
            unit="nats",
            meaning="Of the training images.",
            role=Role.FLOOR,
        ),
    ],
    ids=lambda figure: figure.key,
)
def test_a_figure_is_one_entry(monkeypatch, added):
    """Computed, checked, printed and reported from its declaration alone."""
    monkeypatch.setattr(figures, "FIGURES", (*FIGURES, added))
    found = compute(evaluated(**statistics((4, 2)), psnr=np.full(20, 31.25)))
    assert added.value(found) == 31.25
    sign = "-" if added.role is Role.FLOOR else ""
    row = next(row for row in figure_rows(found) if row[0].startswith(added.label))
    assert row[1] == f"{sign}31.25" and row[2].startswith(added.unit)
    shown = quantities(found) + [point.quantity for point in reference_points(found)]
    (quantity,) = (quantity for quantity in shown if quantity.name == added.label)
    assert (quantity.value, quantity.unit) == ("31.25", added.unit)
    assert quantity.meaning.startswith(added.meaning)
    with pytest.raises(ValueError, match=f"expected {added.key} to be a number, found much"):
        check({added.key: "much", "floors": {added.key: "much"}})


def test_a_figure_of_each_dimension_is_one_entry(monkeypatch):
    added = Figure(
        "information",
        "information",
        lambda evaluated: evaluated.per_dimension("mean").max(axis=0).tolist(),
        unit="bits",
        kind=Kind.PER_DIMENSION,
    )
    monkeypatch.setattr(figures, "FIGURES", (*FIGURES, added))
    found = compute(evaluated(**statistics((2, 2))))
    assert "information, bits" in dimensions(found).titles
    with pytest.raises(ValueError, match="information to be a list of 4 numbers"):
        check(found | {"information": [1.0]})


def test_figures_of_a_model_without_a_closed_form_are_checked():
    each = statistics((3, 2)) | {"kl": np.ones(20)}
    del each["kl_per_dimension"]
    found = compute(evaluated(**each))
    assert found["kl"] == 1.0
    assert latent_dim(found) == 6
    check(found)


def test_the_most_informative_dimension_is_the_first():
    known = {"kl_per_dimension": [1.0, 9.0, 3.0], "activity": [5.0, 1.0, 2.0]}
    assert most_informative_first(known | {"active_dimensions": [0, 2]}) == [2, 0]
    del known["kl_per_dimension"]
    assert most_informative_first(known | {"active_dimensions": [0, 2]}) == [0, 2]
    assert most_informative_first({}) == []


def test_an_evaluation_of_0_1_0_is_still_read():
    """As kelbo 0.1.0 wrote it, without what later figures ask."""
    old = {
        "images": 32,
        "unit": "nats",
        "reconstruction": -200.0,
        "num_samples": 10,
        "kl_per_dimension": [1.0, 2.0],
        "elbo": -203.0,
        "kl": 3.0,
        "importance_weighted_bound": -202.0,
        "activity": [0.5, 0.001],
        "active_units": 1,
        "active_dimensions": [0],
        "effective_beta": 1.0,
        "effective_beta_note": "",
        "floors": {"independent_pixels": 205.0, "pixel_entropy": 45.0},
        "notes": [],
        "seconds": 1.0,
    }
    check(old)
    assert [name for name, _, _ in figure_rows(old)] == [
        "Test images",
        "ELBO",
        "Importance-weighted bound, K = 10",
        "Reconstruction",
        "KL divergence",
        "Active latent dimensions",
        "Effective beta",
        "Best model without latents, as log p(x)",
        "Entropy of the grey pixels, as log p(x)",
    ]
