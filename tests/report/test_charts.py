import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from kelbo.report.charts import NARROW, Curve, curves, describe_curve, kl_per_dimension, losses
from kelbo.report.render import ACCENT, MUTED, to_svg


def legend_of(figure):
    return [entry.get_text() for entry in figure.axes[0].get_legend().get_texts()]


# Curves.


def test_curves_are_paired_with_their_validation_twins():
    metrics = {"epoch": [1.0, 2.0], "elbo": [-3.0, -2.0], "val_elbo": [-4.0, -3.0], "kl": [1.0] * 2}
    elbo, kl = curves(metrics)
    assert elbo == Curve("ELBO, nats", [1.0, 2.0], [-3.0, -2.0], validation=[-4.0, -3.0])
    assert (kl.title, kl.validation) == ("KL divergence, nats", None)


def test_an_autoencoder_has_no_curve_of_an_elbo():
    found = curves({"epoch": [1.0], "loss": [80.0], "reconstruction": [-80.0], "seconds": [1.0]})
    assert [curve.title for curve in found] == ["Reconstruction, nats", "Loss, as minimised"]


def test_only_a_moving_beta_is_a_curve():
    assert curves({"epoch": [1.0, 2.0], "beta": [1.0, 1.0]}) == []
    assert len(curves({"epoch": [1.0, 2.0], "beta": [0.5, 1.0]})) == 1


def test_a_term_of_another_objective_is_a_curve_after_the_known_ones():
    metrics = {"epoch": [1.0, 2.0], "total_correlation": [2.0, 1.0], "penalty": [0.0, 0.0]}
    metrics |= {"val_total_correlation": [3.0, 2.0], "seconds": [1.0, 2.0], "kl": [4.0, 4.0]}
    assert [curve.title for curve in curves(metrics)] == [
        "KL divergence, nats",
        "total correlation",
    ]


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


def test_an_odd_curve_has_a_row_of_its_own_so_that_no_place_is_empty():
    figure = losses([Curve(str(index), [1, 2], [-2, -1], None) for index in range(3)])
    figure.draw_without_rendering()
    first, left, right = (axes.get_position() for axes in figure.axes)
    assert first.x0 < left.x1 < right.x0 < first.x1
    assert first.y0 > left.y1
    assert len(losses([Curve("ELBO", [1, 2], [-2, -1], None)] * 3, NARROW).axes) == 3


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


def test_the_legend_hides_no_bar():
    axes = kl_per_dimension([2.0] * 16, active=[], width=NARROW).axes[0]
    axes.figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y0 >= axes.bbox.y1


def test_many_dimensions_are_named_by_rank():
    axes = kl_per_dimension(np.linspace(3, 0, 64), active=list(range(40))).axes[0]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["1", "10", "20", "30", "40", "50", "60"]
    assert list(axes.get_xticks()) == [0, 9, 19, 29, 39, 49, 59]
