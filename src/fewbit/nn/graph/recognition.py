"""Which cell a graph is, whatever the names and the order of its nodes.

Nodes are distinguished by their fields and by their neighbours, in rounds (colour refinement). In the cells known here
this distinguishes all nodes; the resulting mapping is checked edge by edge.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from fewbit.nn.graph.cells import gru_graph, lstm_graph, sru_graph
from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.parts import Edge, Node

CELLS: dict[str, Callable[[int, int], Graph]] = {"LSTM": lstm_graph, "GRU": gru_graph, "SRU": sru_graph}


@dataclass(frozen=True)
class Recognised:
    """A graph that is a known cell.

    Args:
        cell: "LSTM", "GRU" or "SRU".
        inputs, hidden: its sizes.
        nodes, parameters: names in the graph of `lstm_graph` and its like -> names in this graph.

    Examples:
        >>> from fewbit.nn import recognise
        >>> found = recognise(lstm_graph(inputs=6, hidden=5))
        >>> found.cell, found.inputs, found.hidden
        ('LSTM', 6, 5)
    """

    cell: str
    inputs: int
    hidden: int
    nodes: dict[str, str]
    parameters: dict[str, str]


def recognise(graph: Graph) -> Recognised | None:
    """The cell that a graph is, or ``None``. Names, order and initial values do not matter.

    Examples:
        >>> recognise(sru_graph(inputs=6, hidden=5)).cell
        'SRU'
    """
    inputs, hidden = graph.input.size, graph[graph.output].size
    for cell, draw in CELLS.items():
        known = draw(inputs, hidden)
        if (nodes := mapping(known, graph)) is not None:
            edges = {_plain(graph, edge): edge for edge in graph.edges}
            parameters = {
                name: graph.parameter(edges[_renamed(_plain(known, edge), nodes)])
                for edge in known.edges
                if (name := known.parameter(edge))
            }
            return Recognised(cell, inputs, hidden, nodes, parameters)
    return None


def unmatched_node(graph: Graph) -> Node:
    """A node that the most similar known cell does not have; the output if none stands out."""
    found = []
    for draw in CELLS.values():
        known = draw(graph.input.size, graph[graph.output].size)
        here, there = _colours(graph, 1), set(_colours(known, 1).values())
        found.append((known, [node for node in graph.nodes if here[node.name] not in there]))
    known, unknown = min(found, key=lambda pair: len(pair[1]))
    # Neighbours of an unmatched node are unmatched too; a node of which there are too many is more likely the cause.
    surplus = Counter(_colours(graph, 0).values()) - Counter(_colours(known, 0).values())
    too_many = [node for node in unknown if _colours(graph, 0)[node.name] in surplus]
    return (too_many or unknown or [graph[graph.output]])[0]


def mapping(known: Graph, graph: Graph) -> dict[str, str] | None:
    """Names in `known` -> names in `graph`, if the two are the same but for names and order, else ``None``."""
    if len(known.nodes) != len(graph.nodes) or len(known.edges) != len(graph.edges):
        return None
    rounds = len(known.nodes)
    by_colour = {colour: name for name, colour in _colours(graph, rounds).items()}
    colours = _colours(known, rounds)
    if len(by_colour) < len(graph.nodes) or set(by_colour) != set(colours.values()):
        return None
    names = {name: by_colour[colour] for name, colour in colours.items()}
    wanted = sorted(map(repr, (_renamed(_plain(known, edge), names) for edge in known.edges)))
    return names if wanted == sorted(map(repr, (_plain(graph, edge) for edge in graph.edges))) else None


def _colours(graph: Graph, rounds: int) -> dict[str, Hashable]:
    """For each node a value that is the same for nodes that `rounds` rounds cannot distinguish."""
    colours: dict[str, Hashable] = {
        node.name: hash((replace(node, name="n"), node.name == graph.output)) for node in graph.nodes
    }
    for _ in range(rounds):
        ends: dict[str, list[tuple[str, int]]] = {node.name: [] for node in graph.nodes}
        for edge in graph.edges:
            carried = (edge.kind, edge.delay, edge.start, graph.width(edge))
            ends[edge.target].append(("in", hash((carried, colours[edge.source]))))
            ends[edge.source].append(("out", hash((carried, colours[edge.target]))))
        colours = {name: hash((colours[name], tuple(sorted(found)))) for name, found in ends.items()}
    return colours


def _plain(graph: Graph, edge: Edge) -> Edge:
    """An edge without what does not matter: the name of its parameter and its initial values."""
    return replace(edge, stop=edge.start + graph.width(edge), name="", initial=())


def _renamed(edge: Edge, names: dict[str, str]) -> Edge:
    return replace(edge, source=names[edge.source], target=names[edge.target])
