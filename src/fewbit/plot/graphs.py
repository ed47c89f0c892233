"""Pictures of graphs: the parts that run frame by frame, those that run over all frames at once, and their order."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from fewbit.nn import Edge, Graph, Plan, plan
from fewbit.plot.graph_places import Places, place
from fewbit.plot.palette import BLUE, COLOURS, ORANGE

COLUMN, WIDTH, HEIGHT = 2.1, 1.15, 0.56
GREY, PINK = "#555555", COLOURS[4]
SYMBOLS = {"linear": "", "sigmoid": "σ", "tanh": "tanh", "relu": "relu", "softplus": "softplus", "one_minus": "1 −"}


def plot_graph(graph: Graph | Plan, path: str | Path, title: str = "") -> Path:
    """A graph with its plan: loops in boxes, matrix products as thick lines, delayed edges dashed.

    Blue runs over all frames at once, orange once for each frame.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.nn import gru_graph
        >>> plot_graph(gru_graph(4, 3), f"{mkdtemp()}/gru.svg", "a GRU").name
        'gru.svg'
    """
    planned = plan(graph) if isinstance(graph, Graph) else graph
    places = place(planned)
    columns = max(column for column, _ in places.nodes.values()) + 1
    size = (max(7.5, 0.72 * COLUMN * columns + 0.4), 0.72 * (places.high - places.low + 0.6) + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    for block in places.blocks:
        if block.loop:
            _box(axes, block.first, block.last, block.low, block.high)
    for edge in planned.graph.edges:
        if edge.source in places.nodes:
            _draw_edge(axes, planned, places, edge)
    for name, (column, row) in places.nodes.items():
        _draw_node(axes, planned, name, column * COLUMN, row)
    axes.set_xlim(-0.75 * COLUMN, (columns - 0.25) * COLUMN)
    axes.set_ylim(places.low - 0.4, places.high + 0.2)
    axes.set_aspect("equal")
    axes.axis("off")
    products = f"{planned.hoisted_matmuls} + {planned.step_matmuls} T matrix products for T frames"
    axes.set_title(f"{title}: {products}" if title else products, loc="left")
    figure.legend(handles=_legend(planned), loc="outside lower center", ncols=5 if columns > 5 else 3, frameon=False)
    figure.savefig(path, dpi=130)
    return Path(path)


def _box(axes: Axes, first: int, last: int, low: float, high: float) -> None:
    corner, width = (first * COLUMN - 0.47 * COLUMN, low - 0.25), (last - first + 0.94) * COLUMN
    style = "round,pad=0,rounding_size=0.15"
    axes.add_patch(FancyBboxPatch(corner, width, high - low + 0.3, style, fc="#FDF1E8", ec=ORANGE, lw=1, zorder=0))
    axes.text(corner[0] + 0.12, corner[1] + 0.08, "frame by frame", color=ORANGE, fontsize=8, zorder=1)


def _draw_node(axes: Axes, planned: Plan, name: str, x: float, y: float) -> None:
    node = planned.graph[name]
    looped = any(name in component.nodes for component in planned.loops)
    colour = "black" if not node.computed else ORANGE if looped else BLUE
    style = "square,pad=0" if node.aggregation == "product" else "round,pad=0,rounding_size=0.18"
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    width = 2.2 if name == planned.graph.output or not node.computed else 1.2
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, fc="white", ec=colour, lw=width, zorder=3))
    axes.text(x, y + 0.11, name, ha="center", va="center", fontsize=8 if len(name) < 11 else 6.5, zorder=4)
    constants = [e for e in planned.graph.incoming(name) if planned.graph[e.source].aggregation == "constant"]
    several = len(planned.graph.incoming(name)) - len(constants) > 1
    sign = {"sum": "Σ", "product": "Π"}.get(node.aggregation, "") if several else ""
    bias = ("+ b" if node.aggregation == "sum" else "· w") if constants else ""
    words = " ".join(word for word in (SYMBOLS[node.activation], sign, bias) if word)
    below = f"{words}   {node.size}" if words else str(node.size)
    axes.text(x, y - 0.14, below, ha="center", va="center", fontsize=7, color=GREY, zorder=4)


def _draw_edge(axes: Axes, planned: Plan, places: Places, edge: Edge) -> None:
    (left, low), (right, high) = places.nodes[edge.source], places.nodes[edge.target]
    inside = any(edge.source in loop.nodes and edge.target in loop.nodes for loop in planned.loops)
    full = edge.kind == "full"
    colour = (ORANGE if inside else BLUE) if full else PINK if edge.kind == "broadcast" else GREY
    start, stop = left * COLUMN + WIDTH / 2, right * COLUMN - WIDTH / 2 - 0.03
    if edge in places.lanes:
        # To the channel behind the source, along the lane, and up or down the channel before the target.
        lane = places.lanes[edge]
        out, into = start + 0.08 + 0.26 * _part(places, edge.source), stop - 0.16 - 0.2 * _part(places, edge.target)
        corners = [(start, low), (out, low), (out, lane), (into, lane), (into, high), (stop, high)]
        line = Line(corners)
        label = ((out + into) / 2, lane)
    else:
        bend = (stop - start) * 0.45
        points = [(start, low), (start + bend, low), (stop - bend, high), (stop, high)]
        line = Line(points, [Line.MOVETO, Line.CURVE4, Line.CURVE4, Line.CURVE4])
        label = ((start + stop) / 2, (low + high) / 2)
    axes.add_patch(
        FancyArrowPatch(
            path=line,
            arrowstyle="-|>",
            mutation_scale=9,
            lw=2.4 if full else 0.9,
            ls=(0, (3, 1.5)) if edge.delay else "-",
            color=colour,
            fill=False,
            zorder=2 if full else 1.5,
        )
    )
    if edge.delay:
        text = f"t−{edge.delay}"
        axes.text(*label, text, fontsize=7, color=colour, ha="center", va="center", zorder=5).set_bbox(
            {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
        )


def _part(places: Places, name: str) -> float:
    """A place in the channel beside a column, from 0 to 1, another one for each of its nodes."""
    column, row = places.nodes[name]
    rows = sorted(other for there, other in places.nodes.values() if there == column)
    return (rows.index(row) + 0.5) / len(rows)


def _legend(planned: Plan) -> list[Line2D]:
    edges = [edge for edge in planned.graph.edges if planned.graph[edge.source].aggregation != "constant"]
    lines = {
        "matrix, all frames at once": (BLUE, 2.4, "-", planned.hoisted_matmuls),
        "matrix, each frame": (ORANGE, 2.4, "-", planned.step_matmuls),
        "identity": (GREY, 0.9, "-", any(edge.kind == "identity" for edge in edges)),
        "broadcast": (PINK, 0.9, "-", any(edge.kind == "broadcast" for edge in edges)),
        "delayed": (GREY, 0.9, "--", any(edge.delay for edge in edges)),
    }
    return [
        Line2D([], [], color=colour, lw=width, ls=style, label=label)
        for label, (colour, width, style, there) in lines.items()
        if there
    ]
