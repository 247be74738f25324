from kelbo.report.quantities import Quantity, dimensions, quantities, reference_points


def test_quantities_carry_units_and_meaning(evaluation):
    found = {quantity.name: quantity for quantity in quantities(evaluation)}
    assert list(found)[0] == "ELBO"
    assert (found["ELBO"].value, found["ELBO"].unit) == ("−103.41", "nats")
    assert found["ELBO"].meaning.endswith("Higher is better.")
    assert found["Importance-weighted bound, K\u00a0=\u00a016"].value == "−99.83"
    assert found["Active latent dimensions"].value == "3 of 4"
    beta = found["Effective beta"]
    assert (beta.value, beta.unit) == ("0.0049", "")
    assert all(quantity.meaning for quantity in found.values())


def test_what_is_absent_is_not_shown():
    assert quantities({}) == []
    (only,) = quantities({"images": 10, "reconstruction": -76.2, "seconds": 1.0})
    assert (only.name, only.value) == ("Reconstruction", "−76.20")


def test_figures_of_other_names_are_shown_too():
    assert quantities({"perceptual_length": 0.51234, "exact": True, "list": [1]}) == [
        Quantity("perceptual length", "0.512")
    ]


def test_the_run_stands_between_its_floors(evaluation):
    evaluation["floors"]["nearest_neighbour"] = 90.0
    points = [
        (point.quantity.name, point.quantity.value, point.own)
        for point in reference_points(evaluation)
    ]
    assert points == [
        ("Best model without latents", "205.90", False),
        ("This run, −ELBO", "103.41", True),
        ("This run, −Importance-weighted bound, K\u00a0=\u00a016", "99.83", True),
        ("nearest neighbour", "90.00", False),
        ("Entropy of the grey pixels", "45.70", False),
    ]
    del evaluation["elbo"], evaluation["importance_weighted_bound"]
    assert reference_points(evaluation)[2].quantity.name == "This run, −Reconstruction"
    del evaluation["floors"]
    assert reference_points(evaluation) == []


def test_dimensions_stand_in_the_order_of_the_chart(evaluation):
    found = dimensions(evaluation)
    assert found.titles == ["KL, nats", "variance of the mean", "active"]
    assert [index for index, _ in found.rows] == [2, 0, 3, 1]
    assert found.rows[0][1] == ["3.25", "0.95", "yes"]
    assert found.rows[-1][1][-1] == "no"
    assert dimensions({"kl_per_dimension": [1.0]}).rows == [(0, ["1.00"])]
    assert dimensions({}).rows == []
