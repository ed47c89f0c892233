"""The picture of pruning: what lies where, its fronts, and what was not measured."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from fewbit.analysis import PrunedNetwork, Pruning
from fewbit.plot import plot_pruning
from tests.plot.drawn import drawn, words

DENSE = PrunedNetwork("dense", 0.0, "int4", 0, 9.0, 800.0, 400, 9.0, 1.0)
MAPS = PrunedNetwork("channels", 0.5, "int4", 0, 9.5, 200.0, 100, 4.5, 2.0)
TERNARY = PrunedNetwork("channels", 0.5, "ternary", 0, 12.0, 200.0, 60, 5.0, 1.8)
REPORT = Pruning("toy", "error (%)", (DENSE, MAPS, TERNARY), (0,), (8.5,), "int8", epochs=2, lr=0.01)


def front_of(axes: Axes) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    return [(float(x), float(y)) for x, y in line.get_xydata()]


def test_three_panels_with_a_front_each(tmp_path: Path) -> None:
    figure = drawn(lambda: plot_pruning(REPORT, tmp_path / "picture.png"))
    macs, sizes, times = figure.axes
    assert front_of(macs) == [(200, 9.5), (800, 9)]
    assert front_of(sizes) == [(60, 12), (100, 9.5), (400, 9)]
    assert front_of(times) == [(4.5, 9.5), (9, 9)]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["dense", "channels", "int4", "ternary", "front", "dense, float"]


def test_every_point_is_drawn_in_the_colour_of_its_granularity_and_the_shape_of_its_format(tmp_path: Path) -> None:
    axes = drawn(lambda: plot_pruning(REPORT, tmp_path / "picture.png")).axes[1]
    seen = {
        (container.lines[0].get_xdata()[0]): (container.lines[0].get_color(), container.lines[0].get_marker())
        for container in axes.containers
    }
    assert set(seen) == {400, 100, 60}
    assert seen[400][0] != seen[100][0] == seen[60][0]
    assert seen[400][1] == seen[100][1] != seen[60][1]


def test_the_chosen_point_has_a_ring(tmp_path: Path) -> None:
    chosen = replace(REPORT, chosen=REPORT.points[1])
    figure = drawn(lambda: plot_pruning(chosen, tmp_path / "picture.png"))
    for axes, place in zip(figure.axes, (200, 100, 4.5), strict=True):
        (ring,) = [line for line in axes.lines if line.get_color() == "none"]
        assert [(float(x), float(y)) for x, y in ring.get_xydata()] == [(place, 9.5)]
    assert "chosen: channels 0.5 int4" in words(figure)


def test_times_that_were_not_measured_are_said(tmp_path: Path) -> None:
    untimed = replace(REPORT, rows=tuple(replace(row, time_us=None, gain=None) for row in REPORT.rows), baseline=())
    figure = drawn(lambda: plot_pruning(untimed, tmp_path / "picture.png"))
    assert "not measured" in words(figure)
    assert "dense, float" not in words(figure)


def test_a_few_percent_of_time_do_not_fill_the_axis(tmp_path: Path) -> None:
    near = replace(REPORT, rows=tuple(replace(row, time_us=9.0 + n / 10) for n, row in enumerate(REPORT.rows)))
    low, high = drawn(lambda: plot_pruning(near, tmp_path / "picture.png")).axes[2].get_xlim()
    assert high / low == pytest.approx(3)
    assert low < 9.0 < 9.2 < high
