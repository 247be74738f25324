import pytest

from kelbo.evaluation.findings import findings

HEALTHY = {
    "elbo": -103.0,
    "importance_weighted_bound": -100.0,
    "reconstruction": -80.0,
    "kl": 23.0,
    "kl_per_dimension": [5.75] * 4,
    "active_units": 4,
    "effective_beta": 1.0,
    "effective_beta_note": "",
    "floors": {"independent_pixels": 205.0},
}


def titles(**changes):
    evaluation = {key: value for key, value in (HEALTHY | changes).items() if value is not None}
    return [finding.title for finding in findings(evaluation)]


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, []),
        ({"active_units": 0}, ["Posterior collapse"]),
        # A collapsed model is at the floor; that is no second finding.
        ({"active_units": 0, "floors": {"independent_pixels": 90.0}}, ["Posterior collapse"]),
        ({"active_units": 1}, ["Few latent dimensions in use"]),
        ({"active_units": 2}, []),
        ({"floors": {"independent_pixels": 99.0}}, ["Worse than no latents at all"]),
        # The tightest bound decides.
        ({"floors": {"independent_pixels": 101.0}}, []),
        ({"importance_weighted_bound": None, "floors": {"independent_pixels": 104.0}}, []),
        ({"floors": {}}, []),
        ({"effective_beta": 4.0, "effective_beta_note": "much"}, ["Effective beta of 4"]),
    ],
)
def test_what_the_figures_say(changes, expected):
    assert titles(**changes) == expected


def test_an_autoencoder_is_held_against_the_floor_by_its_reconstruction():
    assert findings({"reconstruction": -80.0, "floors": {"independent_pixels": 90.0}}) == []
    (found,) = findings({"reconstruction": -99.0, "floors": {"independent_pixels": 90.0}})
    assert "-99.00 nats against -90.00" in found.text


def test_of_nothing_nothing_is_said():
    assert findings({}) == []
    assert findings({"floors": None}) == []


def test_the_beta_is_named_where_it_is_a_likely_reason():
    (collapse,) = findings(HEALTHY | {"active_units": 0, "effective_beta": 50.0})
    assert "effective beta of 50" in collapse.text
    (collapse,) = findings(HEALTHY | {"active_units": 0})
    assert "effective beta" not in collapse.text
    low = {"effective_beta": 0.01, "floors": {"independent_pixels": 90.0}}
    assert "effective beta of 1" in findings(HEALTHY | low)[0].text
