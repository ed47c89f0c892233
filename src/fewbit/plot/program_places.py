"""Where the nodes of a graph without loops go: layers from top to bottom, long lines beside the nodes that they pass.

A node stands one layer below the last of what it reads. A value that is read further below passes the layers between
as a point of its own. The order within layers comes from the mean place of neighbours, swept up and down; places from
neighbours too, with chains of nodes that lead straight on as straight lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[int, int]
"""A node, and the layer: that of the node, or one that its value passes."""

GAP, LANE = 0.28, 0.16
SWEEPS = 12
STRAIGHT, PASSING = 1e6, 30.0


@dataclass
class Layout:
    """Places: for each layer its points from left to right, for each point how far right it is.

    links: lines between points of neighbouring layers.
    """

    layer: list[int]
    rows: list[list[Point]]
    links: list[tuple[Point, Point]]
    x: dict[Point, float] = field(default_factory=dict)
    straight: set[tuple[Point, Point]] = field(default_factory=set)

    def is_node(self, point: Point) -> bool:
        """Whether there is a node and not only a line."""
        return self.layer[point[0]] == point[1]


def arrange(reads: Sequence[Sequence[int]], width: float) -> Layout:
    """Places for nodes of one width, each of which reads nodes before it."""
    layer = _layers(reads)
    rows: list[list[Point]] = [[] for _ in range(max(layer) + 1)]
    links: dict[tuple[Point, Point], None] = {}
    for node, places in enumerate(reads):
        rows[layer[node]].append((node, layer[node]))
        for place in places:
            for level in range(layer[place] + 1, layer[node]):
                if (place, level) not in rows[level]:
                    rows[level].append((place, level))
                links[(place, level - 1), (place, level)] = None
            links[(place, layer[node] - 1), (node, layer[node])] = None
    layout = Layout(layer, rows, list(links))
    for row in rows:
        row.sort(key=lambda point: (not layout.is_node(point), point[0]))
    layout.straight = _straight(reads, layer)
    _order(layout)
    _place(layout, width)
    return layout


def _layers(reads: Sequence[Sequence[int]]) -> list[int]:
    layer: list[int] = []
    for places in reads:
        layer.append(1 + max((layer[place] for place in places), default=-1))
    for node in reversed(range(len(reads))):  # what reads nothing stands right above its first reader
        readers = [layer[other] for other, places in enumerate(reads) if node in places]
        if readers and all(not reads[place] for place in reads[node]):
            layer[node] = max(layer[node], min(readers) - 1)
    return layer


def _straight(reads: Sequence[Sequence[int]], layer: list[int]) -> set[tuple[Point, Point]]:
    """Lines from a node to the first of its readers, from which most follows, if that waits for nothing longer."""
    below = [0] * len(reads)
    readers: list[list[int]] = [[] for _ in reads]
    for node in reversed(range(len(reads))):
        below[node] = 1 + max((below[reader] for reader in readers[node]), default=0)
        for place in dict.fromkeys(reads[node]):
            readers[place].append(node)
    found = set()
    for node, places in enumerate(reads):
        near = sorted({place for place in places if layer[place] == layer[node] - 1})
        if not near:
            continue
        parent = near[len(near) // 2]
        after = sorted(reader for reader in readers[parent] if layer[reader] == layer[node])
        most = [reader for reader in after if below[reader] == max(below[other] for other in after)]
        if most[len(most) // 2] == node:
            found.add(((parent, layer[parent]), (node, layer[node])))
    return found


def _order(layout: Layout) -> None:
    """Points by the mean place of their neighbours above, then below, and so on; the best order seen stays."""
    above, below = _neighbours(layout)
    best, least = [list(row) for row in layout.rows], _crossings(layout)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for i in range(len(layout.rows)) if down else reversed(range(len(layout.rows))):
            other = i - 1 if down else i + 1
            if not 0 <= other < len(layout.rows):
                continue
            place = {point: p for p, point in enumerate(layout.rows[other])}
            near = above if down else below
            means = {
                point: sum(place[q] for q in near[point]) / len(near[point]) if near[point] else float(p)
                for p, point in enumerate(layout.rows[i])
            }
            layout.rows[i].sort(key=lambda point: (means[point], not layout.is_node(point)))
        crossings = _crossings(layout)
        if crossings < least:
            best, least = [list(row) for row in layout.rows], crossings
    layout.rows[:] = best


def _neighbours(layout: Layout) -> tuple[dict[Point, list[Point]], dict[Point, list[Point]]]:
    above: dict[Point, list[Point]] = {point: [] for row in layout.rows for point in row}
    below: dict[Point, list[Point]] = {point: [] for row in layout.rows for point in row}
    for start, stop in layout.links:
        above[stop].append(start)
        below[start].append(stop)
    return above, below


def _crossings(layout: Layout) -> int:
    place = {point: p for row in layout.rows for p, point in enumerate(row)}
    lines: list[list[tuple[int, int]]] = [[] for _ in layout.rows]
    for start, stop in layout.links:
        lines[stop[1]].append((place[start], place[stop]))
    return sum((a - c) * (b - d) < 0 for row in lines for i, (a, b) in enumerate(row) for c, d in row[:i])


def _place(layout: Layout, width: float) -> None:
    """Each point near its neighbours, none nearer to the next one than it may be."""
    above, below = _neighbours(layout)
    x = layout.x
    for row in layout.rows:
        x |= dict(zip(row, _apart(layout, row, [0.0] * len(row), [1.0] * len(row), width), strict=True))
    for sweep in range(SWEEPS + 1):  # the last one goes down, along straight chains
        near = (above, below)[sweep % 2]
        for row in layout.rows if sweep % 2 == 0 else reversed(layout.rows):
            wanted, weights = [], []
            for point in row:
                pulls = [(x[other], _pull(layout, other, point)) for other in near[point]]
                total = sum(weight for _, weight in pulls)
                wanted.append(sum(there * weight for there, weight in pulls) / total if pulls else x[point])
                weights.append(total or 0.1)
            x |= dict(zip(row, _apart(layout, row, wanted, weights, width), strict=True))

    _stretch(layout, width)


def _stretch(layout: Layout, width: float) -> None:
    """A value that passes several layers does so on one straight line, as far out as it ever has to be."""
    passing: dict[int, list[Point]] = {}
    for row in layout.rows:
        for point in row:
            if not layout.is_node(point):
                passing.setdefault(point[0], []).append(point)
    for points in passing.values():
        for x in (max(layout.x[point] for point in points), min(layout.x[point] for point in points)):
            if all(_is_free(layout, point, x, width) for point in points):
                layout.x |= dict.fromkeys(points, x)
                break


def _is_free(layout: Layout, point: Point, x: float, width: float) -> bool:
    """Whether a point may move: all others of its row stay on their side, and beyond it; nodes have their width."""
    before = layout.x[point]
    low, high = min(before, x), max(before, x)
    row = [other for other in layout.rows[point[1]] if other != point]
    rooms = (max(2 * LANE, width / 2 + LANE / 2) if layout.is_node(other) else 2 * LANE for other in row)
    return not any(low - room < layout.x[other] < high + room for other, room in zip(row, rooms, strict=True))


def _pull(layout: Layout, a: Point, b: Point) -> float:
    if (a, b) in layout.straight or (b, a) in layout.straight:
        return STRAIGHT
    return PASSING if not layout.is_node(a) and not layout.is_node(b) else 1.0


def _apart(layout: Layout, row: list[Point], wanted: list[float], weights: list[float], width: float) -> list[float]:
    """Places in order, with room for each, whose weighted squares of distance to those wanted are least."""
    half = [width / 2 if layout.is_node(point) else LANE / 2 for point in row]
    offsets = [0.0]
    for i in range(1, len(row)):
        offsets.append(offsets[-1] + half[i - 1] + half[i] + (GAP if half[i] + half[i - 1] > LANE else LANE / 2))
    blocks: list[tuple[float, float, int]] = []
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = place - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, more, members = blocks.pop()
            mean = (mean * total + before * more) / (total + more)
            total, count = total + more, count + members
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
