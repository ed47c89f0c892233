"""The Pareto front: what no other choice beats at both of two things."""

import math
from collections.abc import Sequence

from fewbit.errors import ArgumentError


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the pairs that no other pair beats, by the first number; smaller is better for both.

    A pair is beaten by one that is smaller in one number and not larger in the other. Equal pairs do not beat each
    other.

    Raises:
        ArgumentError: a number is NaN.

    Examples:
        >>> pareto_front([(30, 2.0), (10, 5.0), (20, 5.0), (40, 1.0)])
        [1, 0, 3]
    """
    if any(math.isnan(number) for point in points for number in point):
        raise ArgumentError("a front of NaN: leave out what was not measured")
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: points[place]):
        if not front or points[place][1] < points[front[-1]][1] or points[place] == points[front[-1]]:
            front.append(place)
    return front
