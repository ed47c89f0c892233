"""Fronts against their definition, on all pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.analysis import pareto_front
from fewbit.errors import ArgumentError

NUMBERS = st.one_of(st.integers(0, 5).map(float), st.floats(allow_nan=False))  # few values, so that many are equal


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30))
def test_a_front_holds_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    def beaten(point: tuple[float, float]) -> bool:
        return any(x <= point[0] and y <= point[1] and (x, y) != point for x, y in points)

    front = pareto_front(points)
    assert sorted(front) == [place for place, point in enumerate(points) if not beaten(point)]
    assert [points[place] for place in front] == sorted(points[place] for place in front)


def test_nan_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a front of NaN"):
        pareto_front([(1.0, 2.0), (float("nan"), 1.0)])
