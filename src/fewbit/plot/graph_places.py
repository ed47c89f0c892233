"""Where the nodes of a planned graph go: stages from left to right, a loop as a block of its own.

Within a block a node stands to the right of all that it reads in the same frame. Edges run between the columns; those
that do not lead to the next column take a lane of their own above the blocks, delayed ones of a loop below its nodes.
"""

from dataclasses import dataclass, field

from fewbit.nn import Edge, Plan

ROW, LANE = 1.0, 0.22


@dataclass
class Block:
    """A component at its place.

    Args:
        names: its nodes.
        loop: whether it goes frame by frame.
        first, last: columns that it takes.
        low, high: rows that its nodes and lanes take.
    """

    names: tuple[str, ...]
    loop: bool
    first: int
    last: int
    low: float
    high: float


@dataclass
class Places:
    """Columns and rows of nodes, the blocks around them, and the lane of each edge that needs one."""

    nodes: dict[str, tuple[int, float]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    lanes: dict[Edge, float] = field(default_factory=dict)
    low: float = 0.0
    high: float = 0.0


def place(plan: Plan) -> Places:
    """Places for all nodes of a plan but the constants, which only add a bias or a scale to a node."""
    graph, places, column = plan.graph, Places(), 0
    for stage in plan.stages:
        components = [part for part in stage if graph[part.nodes[0]].aggregation != "constant"]
        columns = [_columns(plan, part.nodes) for part in components]
        bottoms = [
            [edge for edge in graph.edges if edge.delay and {edge.source, edge.target} <= set(part.nodes)]
            for part in components
        ]
        heights = [
            max(list(own.values()).count(level) for level in own.values()) * ROW + len(delayed) * LANE
            for own, delayed in zip(columns, bottoms, strict=True)
        ]
        gap = 0.8
        top = (sum(heights) + gap * (len(heights) - 1)) / 2
        for part, own, delayed, height in zip(components, columns, bottoms, heights, strict=True):
            _place_block(plan, places, own, column, top, height - len(delayed) * LANE)
            for number, edge in enumerate(sorted(delayed, key=lambda edge: _reach(places, edge))):
                places.lanes[edge] = top - height + (len(delayed) - 1 - number) * LANE
            width = max(own.values())
            places.blocks.append(Block(part.nodes, part.loop, column, column + width, top - height, top))
            top -= height + gap
        column += 1 + max((max(own.values()) for own in columns), default=-1)
    _lanes_above(plan, places)
    return places


def _columns(plan: Plan, names: tuple[str, ...]) -> dict[str, int]:
    """For each node of a component how many it waits for within a frame."""
    columns: dict[str, int] = {}
    for name in names:
        waits = [columns[e.source] for e in plan.graph.incoming(name) if not e.delay and e.source in columns]
        columns[name] = 1 + max(waits, default=-1)
    return columns


def _place_block(plan: Plan, places: Places, columns: dict[str, int], first: int, top: float, height: float) -> None:
    """Rows by the mean row of what is read, so that edges cross little."""
    for level in range(max(columns.values()) + 1):
        names = [name for name in columns if columns[name] == level]

        def wanted(name: str) -> float:
            rows = [
                places.nodes[edge.source][1] - 0.01 * edge.start
                for edge in plan.graph.incoming(name)
                if edge.source in places.nodes
            ]
            return -sum(rows) / len(rows) if rows else 0.0

        names.sort(key=wanted)
        middle = top - height / 2
        for number, name in enumerate(names):
            places.nodes[name] = (first + level, middle + ((len(names) - 1) / 2 - number) * ROW)


def _reach(places: Places, edge: Edge) -> int:
    return abs(places.nodes[edge.source][0] - places.nodes[edge.target][0])


def _rows(places: Places, edge: Edge) -> tuple[float, float]:
    return places.nodes[edge.source][1], places.nodes[edge.target][1]


def _lanes_above(plan: Plan, places: Places) -> None:
    """Lanes for edges that pass by other columns: straight on where no node is in the way, else above the blocks."""
    left = []
    for edge in plan.graph.edges:
        if edge.source not in places.nodes or edge in places.lanes or _reach(places, edge) < 2:
            continue
        start, stop = _columns_of(places, edge)
        between = [row for column, row in places.nodes.values() if start < column < stop]
        free = [row for row in _rows(places, edge) if all(abs(row - other) > 0.45 for other in between)]
        straight = [row for row in free if not any(_overlaps(places, edge, other, row) for other in places.lanes)]
        if straight:
            places.lanes[edge] = straight[0]
        else:
            left.append(edge)
    for block in places.blocks:
        inside = [edge for edge in left if {edge.source, edge.target} <= set(block.names)]
        block.high = _stack(places, inside, block.high)
        left = [edge for edge in left if edge not in inside]
    places.low = min(block.low for block in places.blocks)
    places.high = _stack(places, left, max(block.high for block in places.blocks) + 0.1)


def _overlaps(places: Places, edge: Edge, other: Edge, row: float) -> bool:
    """Whether the lane of `other` lies where `edge` would go straight along `row`."""
    (a, b), (c, d) = _columns_of(places, edge), _columns_of(places, other)
    return other.source != edge.source and abs(places.lanes[other] - row) < 0.1 and a < d and c < b


def _stack(places: Places, edges: list[Edge], bottom: float) -> float:
    """Lanes above `bottom`, short edges lowest; edges from one node and edges that do not meet share one."""
    taken: list[list[Edge]] = []
    for edge in sorted(edges, key=lambda edge: (_reach(places, edge), edge.source)):
        start, stop = _columns_of(places, edge)
        number = 0
        while number < len(taken) and any(
            other.source != edge.source
            and start < _columns_of(places, other)[1]
            and _columns_of(places, other)[0] < stop
            for other in taken[number]
        ):
            number += 1
        if number == len(taken):
            taken.append([])
        taken[number].append(edge)
        places.lanes[edge] = bottom + (number + 0.5) * LANE
    return bottom + len(taken) * LANE


def _columns_of(places: Places, edge: Edge) -> tuple[int, int]:
    first, last = sorted((places.nodes[edge.source][0], places.nodes[edge.target][0]))
    return first, last
