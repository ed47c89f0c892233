"""Cut a tall layout into columns side by side, where few lines cross and no block is split."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

from fewbit.plot.program_nodes import Network
from fewbit.plot.program_places import Layout, Point

TALL = 17
"""Layers of a column, about."""
GUTTER, LANE, PAD = 0.75, 0.13, 0.16
Corner = tuple[float, float]


@dataclass
class Columns:
    """Places of all points (middles, in inches, down is negative), and of what lies between columns.

    detours: corners of lines from one column to the next. boxes: ``(left, bottom, width, height, text)``.
    """

    at: dict[Point, Corner] = field(default_factory=dict)
    detours: dict[tuple[Point, Point], list[Corner]] = field(default_factory=dict)
    boxes: list[tuple[float, float, float, float, str]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    lines: dict[Point, float] = field(default_factory=dict)

    def order(self, point: Point) -> float:
        """How far left or right a line comes from."""
        return self.lines.get(point, self.at[point][0])


def columns(layout: Layout, net: Network, width: float, pitch: float) -> Columns:
    """The layout in columns."""
    cuts = _cuts(layout, net)
    found = Columns()
    left = 0.0
    for number, (first, stop) in enumerate(pairwise(cuts)):
        points = [point for row in layout.rows[first:stop] for point in row]
        low = min(layout.x[point] - (width / 2 if layout.is_node(point) else 0) for point in points)
        high = max(layout.x[point] + (width / 2 if layout.is_node(point) else 0) for point in points)
        if number:
            _detours(layout, found, first, left, pitch)
            left += GUTTER
        for point in points:
            found.at[point] = (left + layout.x[point] - low, -(point[1] - first + 0.5) * pitch)
        left += high - low
        found.height = max(found.height, (stop - first) * pitch)
    found.width = left
    found.height += pitch / 4
    for corners in found.detours.values():
        bottom = corners[0][1] - found.height
        corners[0], corners[1] = (corners[0][0], bottom), (corners[1][0], bottom)
    for (start, stop_point), corners in found.detours.items():
        x = found.at[stop_point][0]
        corners.append((x, corners[-1][1]))
        found.lines[start] = x
    for first, stop, text in net.blocks:
        _boxes(layout, found, range(first, stop), text, width, pitch, cuts)
    return found


def _cuts(layout: Layout, net: Network) -> list[int]:
    """First layers of the columns, and the number of layers."""
    layers = len(layout.rows)
    count = ceil(layers / TALL)
    cuts = [0]
    for number in range(1, count):
        ideal = round(layers * number / count)
        choices = range(max(cuts[-1] + 2, ideal - 3), min(layers - 1, ideal + 4))
        cuts.append(min(choices, key=lambda at: (_price(layout, net, at) + abs(at - ideal) / 2, at), default=ideal))
    return [*cuts, layers]


def _price(layout: Layout, net: Network, at: int) -> float:
    crossing = {start[0] for start, stop in layout.links if stop[1] == at}
    inside = 0
    for first, stop, _ in net.blocks:
        levels = [layout.layer[node] for node in range(first, stop)]
        inside += min(levels) < at <= max(levels)
    return 2.0 * len(crossing) + 4.0 * inside


def _detours(layout: Layout, found: Columns, first: int, right: float, pitch: float) -> None:
    """Lines into a new column: below the old one, up between both, above the new one; its end is added later."""
    crossing = sorted({start for start, stop in layout.links if stop[1] == first}, key=lambda point: -layout.x[point])
    for lane, start in enumerate(crossing):
        x = right + GUTTER / 2 + (lane - (len(crossing) - 1) / 2) * LANE
        bottom, top = lane * LANE * 0.8, 0.02 + lane * LANE * 0.8
        for link in layout.links:
            if link[0] == start and link[1][1] == first:
                found.detours[link] = [(found.at[start][0], bottom), (x, bottom), (x, top)]


def _boxes(
    layout: Layout, found: Columns, nodes: range, text: str, width: float, pitch: float, cuts: list[int]
) -> None:
    """A box in each column that has nodes of the block, around them and around the lines beside them."""
    levels = [layout.layer[node] for node in nodes]
    read = {point[0] for point, stop in layout.links if stop[0] in nodes and layout.is_node(stop)}
    for first, stop in pairwise(cuts):
        rows = layout.rows[max(first, min(levels)) : min(stop, max(levels) + 1)]
        here = [point for row in rows for point in row if point[0] in nodes or point[0] in read]
        half = {point: width / 2 if layout.is_node(point) else 0 for point in here}
        if not here:
            continue
        left, right = (side(found.at[p][0] + sign * half[p] for p in here) for side, sign in ((min, -1), (max, 1)))
        low, high = (
            side(found.at[p][1] for p in here) + sign * (pitch / 2 - 0.02) for side, sign in ((min, -1), (max, 1))
        )
        found.boxes.append((left - PAD, low, right - left + 2 * PAD, high - low, text))
