import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from kelbo.errors import DataError
from kelbo.report.charts import (
    Curve,
    curves,
    describe_curve,
    kl_per_dimension,
    latent_plane,
    losses,
)
from kelbo.report.render import ACCENT, MUTED, to_svg


def legend_of(figure):
    holder = figure.legends[0] if figure.legends else figure.axes[0].get_legend()
    return [entry.get_text() for entry in holder.get_texts()]


# Curves.


def test_curves_are_paired_with_their_validation_twins():
    metrics = {"epoch": [1.0, 2.0], "elbo": [-3.0, -2.0], "val_elbo": [-4.0, -3.0], "kl": [1.0] * 2}
    elbo, kl = curves(metrics)
    assert elbo == Curve(
        "ELBO, nats (higher is better)", [1.0, 2.0], [-3.0, -2.0], validation=[-4.0, -3.0]
    )
    assert (kl.title, kl.validation) == ("KL divergence, nats", None)


def test_an_autoencoder_has_no_curve_of_an_elbo():
    found = curves({"epoch": [1.0], "loss": [80.0], "reconstruction": [-80.0], "seconds": [1.0]})
    assert [curve.title for curve in found] == ["Reconstruction, nats", "Loss, as minimised"]


def test_only_a_moving_beta_is_a_curve():
    assert curves({"epoch": [1.0, 2.0], "beta": [1.0, 1.0]}) == []
    assert len(curves({"epoch": [1.0, 2.0], "beta": [0.5, 1.0]})) == 1


def test_epochs_are_counted_when_they_are_not_named():
    assert list(curves({"loss": [3.0, 2.0]})[0].epochs) == [1, 2]


def test_losses_draw_the_values():
    axes = losses([Curve("ELBO", [1, 2, 3], [-3, math.nan, -1], [-4, -3, -2])]).axes[0]
    training, validation = axes.get_lines()
    np.testing.assert_equal(training.get_ydata(), [-3, math.nan, -1])
    np.testing.assert_equal(validation.get_ydata(), [-4, -3, -2])
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()
    assert axes.get_title(loc="left") == "ELBO"


@pytest.mark.parametrize("values", [[math.nan, math.nan], [5.0, 5.0], [1e-9, 1e9]])
def test_losses_stand_odd_values(values):
    figure = losses([Curve("Loss", [1, 2], values, None)])
    assert "Loss" in to_svg(figure, "odd", "")


def test_a_lone_epoch_is_a_marker_over_its_number():
    axes = losses([Curve("ELBO", [1.0], [-120.0], None)]).axes[0]
    assert axes.get_lines()[0].get_markersize() > 0
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1"]


def test_a_panel_a_curve():
    curve = Curve("ELBO", [1, 2], [-2, -1], None)
    assert len(losses([curve] * 3).axes) == 3


def test_the_description_of_a_curve():
    assert (
        describe_curve(
            Curve("ELBO, nats", [1, 2, 3], [-300.0, -200.0, -103.41], [-9.0, -8.0, -7.0])
        )
        == "ELBO, nats, over 3 epochs: training from -300 to -103.4; validation from -9 to -7."
    )
    assert describe_curve(Curve("Loss", [1], [80.0], None)) == "Loss, over 1 epoch: training 80."


# KL per dimension.


def test_bars_stand_in_order_and_the_inactive_are_marked():
    axes = kl_per_dimension([0.5, 0.002, 2.0, 0.001], active=[0, 2]).axes[0]
    active, inactive = axes.containers
    assert [bar.get_height() for bar in active] == [2.0, 0.5]
    assert [bar.get_height() for bar in inactive] == [0.002, 0.001]
    assert {to_hex(bar.get_facecolor()) for bar in active} == {ACCENT}
    assert {to_hex(bar.get_facecolor()) for bar in inactive} == {MUTED}
    crosses = axes.get_lines()[0]
    assert crosses.get_marker() == "x"
    assert list(crosses.get_xdata()) == [2, 3]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "0", "1", "3"]
    assert legend_of(axes.figure) == ["active (2)", "inactive (2)"]
    assert axes.get_ylabel() == "KL divergence, nats"


def test_without_known_activity_all_bars_are_alike():
    figure = kl_per_dimension([0.5, 0.002], active=None)
    assert len(figure.axes[0].containers) == 1
    assert figure.axes[0].get_legend() is None


def test_with_every_unit_inactive():
    figure = kl_per_dimension([0.0, 0.0], active=[])
    assert legend_of(figure) == ["active (0)", "inactive (2)"]
    to_svg(figure, "collapsed", "")


def test_many_dimensions_are_named_by_rank():
    axes = kl_per_dimension(np.linspace(3, 0, 64), active=list(range(40))).axes[0]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["1", "10", "20", "30", "40", "50", "60"]
    assert list(axes.get_xticks()) == [0, 9, 19, 29, 39, 49, 59]


# Latent means.


def means(count, dimensions):
    return np.random.default_rng(0).normal(size=(count, dimensions))


def test_labels_have_names_colours_and_places():
    points = means(30, 2)
    labels = np.arange(30) % 3
    figure = latent_plane(points, labels, ["rose", "tulip", "daisy"])
    axes = figure.axes[0]
    assert legend_of(figure) == ["rose", "tulip", "daisy"]
    drawn = {tuple(cloud.get_facecolor()[0]): cloud.get_offsets() for cloud in axes.collections}
    assert len(drawn) == 3
    np.testing.assert_array_equal(
        np.sort(np.concatenate(list(drawn.values())), axis=0), np.sort(points, axis=0)
    )
    middles = {note.get_text(): note.xy for note in axes.texts}
    np.testing.assert_allclose(middles["tulip"], np.median(points[1::3], axis=0))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₀", "z₁")


def test_without_labels_there_is_one_colour_and_no_legend():
    figure = latent_plane(means(20, 3), None, None)
    assert len(figure.axes[0].collections) == 1
    assert not figure.legends
    assert not figure.axes[0].texts


def test_names_that_are_missing_or_long():
    figure = latent_plane(means(4, 2), np.array([0, 1, 5, 5]), ["a" * 40, "_private $x$"])
    assert legend_of(figure) == ["a" * 17 + "…", "_private $x$", "5"]
    to_svg(figure, "odd", "")


def test_twenty_labels_are_told_apart_by_colour_and_marker():
    figure = latent_plane(means(200, 3), np.arange(200) % 20, None)
    looks = {
        (to_hex(handle.get_color()), handle.get_marker())
        for handle in figure.legends[0].legend_handles
    }
    assert len(looks) == 20


@pytest.mark.parametrize(("distance", "written"), [(0.0, ["rose"]), (50.0, ["rose", "tulip"])])
def test_a_name_that_would_hide_another_is_left_to_the_legend(distance, written):
    labels = np.arange(40) % 2
    points = np.column_stack([labels * distance + np.arange(40.0), np.zeros(40)])
    figure = latent_plane(points, labels, ["rose", "tulip"])
    assert [note.get_text() for note in figure.axes[0].texts] == written
    assert legend_of(figure) == ["rose", "tulip"]


def test_of_more_labels_the_most_frequent_are_named():
    labels = np.concatenate([np.arange(36), np.arange(10, 29)])
    figure = latent_plane(means(55, 3), labels, None)
    assert legend_of(figure) == ["0", *map(str, range(10, 29)), "16 others"]
    assert len(figure.axes[0].collections[0].get_offsets()) == 16  # the others, drawn first


def test_one_dimension_is_a_histogram():
    figure = latent_plane(means(50, 1), np.arange(50) % 2, None)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₀", "images")
    assert sum(bar.get_height() for bars in axes.containers for bar in bars) == 50
    assert legend_of(figure) == ["0", "1"]


def test_points_are_rasterised():
    svg = to_svg(latent_plane(means(5000, 3), None, None), "latent", "")
    assert "data:image/png;base64," in svg
    assert len(svg) < 200_000


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="one label for each of 5 latent means"):
        latent_plane(means(5, 2), np.arange(4), None)
