"""Matching of what was heard to what was said, DET points, and their picture."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ArgumentError
from fewbit.plot import plot_det
from fewbit.text import Detection, Timed, count_hits, det_curve, miss_rate_at, score_detections
from tests.plot.drawn import drawn, legend

times = st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 6)).map(
    lambda drawn: Timed(drawn[0], drawn[1], drawn[1] + drawn[2])
)


def most_pairs(said, heard, tolerance):
    """Oracle: the best of all ways to give each word heard a word said."""

    def fits(reference, word):
        middle = (word.start + word.end) / 2
        return reference.word == word.word and reference.start - tolerance <= middle <= reference.end + tolerance

    few, many = (said, heard) if len(said) <= len(heard) else (heard, said)
    return max(
        sum(fits(b, a) if few is heard else fits(a, b) for a, b in zip(few, order, strict=True))
        for order in permutations(many, len(few))
    )


@settings(deadline=None)
@given(st.lists(times, max_size=5), st.lists(times, max_size=5), st.sampled_from([0.0, 1.0]))
def test_hits_are_the_most_pairs_there_can_be(said, heard, tolerance):
    assert count_hits(said, heard, tolerance) == most_pairs(said, heard, tolerance)


def test_misses_and_false_alarms_add_up():
    said = [Timed("one", 0, 1), Timed("one", 0, 1), Timed("two", 3, 4)]
    heard = [Timed("one", 0.2, 0.8), Timed("two", 0.2, 0.8), Timed("two", 3.5, 3.9), Timed("two", 3.1, 3.2)]
    found = score_detections(0.5, said, heard, keyword_hours=4.0)
    assert (found.hits, found.false_alarms) == (2, 2)
    assert found.miss_rate == pytest.approx(1 / 3)
    assert found.false_alarm_rate == 0.5
    assert score_detections(0.5, [], [], 1.0).miss_rate == 0.0


def point(misses, alarms):
    return Detection(0.5, 10, 10 - misses, alarms, 2.0)


@settings(deadline=None)
@given(st.lists(st.builds(point, st.integers(0, 10), st.integers(0, 9)), max_size=12))
def test_a_det_curve_keeps_what_nothing_beats(points):
    curve = det_curve(points)
    rates = [(p.false_alarm_rate, p.miss_rate) for p in curve]
    assert rates == sorted(rates)
    assert [miss for _, miss in rates] == sorted({miss for _, miss in rates}, reverse=True)
    for rate in (0.0, 1.0, 2.5):
        assert miss_rate_at(curve, rate) == miss_rate_at(points, rate)


def test_the_miss_rate_at_a_rate_of_alarms():
    points = [point(1, 8), point(5, 2), point(7, 0)]
    assert [miss_rate_at(points, rate) for rate in (0, 0.9, 1, 4)] == pytest.approx([0.7, 0.7, 0.5, 0.1])
    assert miss_rate_at(points[:2], 0.5) == 1.0


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ArgumentError, match="keyword_hours must lie above 0, not 0"):
        score_detections(0.5, [], [], 0)
    with pytest.raises(ArgumentError, match="'one' starts at 2 but ends at 1"):
        Timed("one", 2, 1)


def test_the_curve_is_drawn_even_without_misses_alarms_or_points(tmp_path):
    curves = {"a": [point(10, 0), point(3, 1), point(0, 8)], "b": [point(4, 4)], "none": []}
    (axes,) = drawn(lambda: plot_det(curves, tmp_path / "det.png", "DET")).axes
    assert legend(axes) == ["a", "b", "none"]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 1, 0]
