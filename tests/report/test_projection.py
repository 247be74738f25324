import numpy as np
import pytest

from kelbo.errors import DataError
from kelbo.report.projection import dimension_name, project


def test_principal_components_recover_the_axes_of_the_data():
    # Variances 9, 4 and 1 along the axes of a known rotation.
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    scores = signs * [3.0, 2.0, 1.0]
    projection = project(scores @ rotation.T + 7.0)
    assert projection.rotated
    assert projection.axes == (
        "principal component 1 (64% of the variance)",
        "principal component 2 (29% of the variance)",
    )
    np.testing.assert_allclose(np.abs(projection.points), np.abs(scores[:, :2]), atol=1e-12)


def test_the_sign_of_a_component_is_fixed():
    means = np.random.default_rng(2).normal(size=(50, 5)) * [4, 2, 1, 1, 1]
    points = project(means).points
    assert np.corrcoef(points[:, 0], means[:, 0])[0, 1] > 0.9
    assert np.corrcoef(points[:, 1], means[:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("dimensions", [1, 2])
def test_one_and_two_dimensions_are_shown_as_they_are(dimensions):
    means = np.random.default_rng(3).normal(size=(10, dimensions))
    projection = project(means)
    np.testing.assert_array_equal(projection.points, means)
    assert projection.axes == ("z₀", "z₁")[:dimensions]
    assert not projection.rotated


@pytest.mark.parametrize("images", [1, 2, 20])
def test_a_collapsed_posterior_is_one_point(images):
    projection = project(np.full((images, 4), 0.25))
    np.testing.assert_array_equal(projection.points, np.zeros((images, 2)))
    assert "(0% of the variance)" in projection.axes[0]


@pytest.mark.parametrize(
    "means, complaint",
    [
        (np.zeros(5), r"shape \(m, d\)"),
        (np.zeros((0, 5)), r"shape \(m, d\)"),
        (np.array([[0.0, np.nan]]), "NaN or infinity"),
    ],
)
def test_what_are_no_means_is_refused(means, complaint):
    with pytest.raises(DataError, match=complaint):
        project(means)


def test_dimension_name():
    assert dimension_name(10) == "z₁₀"
