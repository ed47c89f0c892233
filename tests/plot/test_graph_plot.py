"""Pictures of graphs: every node has a place of its own, and lines keep off nodes."""

from itertools import pairwise

import pytest

from fewbit import nn as layers
from fewbit.nn import Edge, Graph, Node, plan
from fewbit.plot import plot_graph
from fewbit.plot.graph_places import place
from tests.plot.drawn import drawn, words


def parallel():
    nodes = [Node("x", 4, "input"), Node("y", 8)]
    edges = []
    for number in range(3):
        nodes.append(Node(f"n{number}", 8, activation="tanh"))
        edges += [Edge("x", f"n{number}"), Edge(f"n{number}", f"n{number}", delay=1), Edge(f"n{number}", "y")]
    return Graph(tuple(nodes), tuple(edges), "y")


GRAPHS = {
    "LSTM": lambda: layers.lstm_graph(6, 5),
    "peepholes": lambda: layers.lstm_graph(6, 5, peepholes=True),
    "GRU": lambda: layers.gru_graph(6, 5),
    "SRU": lambda: layers.sru_graph(6, 5),
    "clocked": lambda: layers.clocked_lstm_graph(6, 5),
    "hierarchical": lambda: layers.hierarchical_lstm_graph(6, 5),
    "parallel": parallel,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_node_has_a_place_of_its_own(name):
    graph = GRAPHS[name]()
    places = place(plan(graph))
    assert set(places.nodes) == {node.name for node in graph.nodes if node.aggregation != "constant"}
    columns = {column for column, _ in places.nodes.values()}
    for column in columns:
        rows = sorted(row for there, row in places.nodes.values() if there == column)
        assert all(b - a > 0.9 for a, b in pairwise(rows))
    assert all(places.low - 0.5 <= row <= places.high + 0.5 for _, row in places.nodes.values())
    for edge, lane in places.lanes.items():
        start, stop = sorted(places.nodes[end][0] for end in (edge.source, edge.target))
        assert all(abs(lane - row) > 0.4 for column, row in places.nodes.values() if start < column < stop), edge


@pytest.mark.parametrize("name", ["GRU", "parallel"])
def test_a_picture_is_drawn(name, tmp_path):
    graph = GRAPHS[name]()
    figure = drawn(lambda: plot_graph(graph, tmp_path / "graph.png", title=name))
    nodes = {node.name for node in graph.nodes if node.aggregation != "constant"}
    assert nodes | {"frame by frame"} <= words(figure)
    assert any(name in text for text in words(figure) - nodes)
    again = drawn(lambda: plot_graph(plan(graph), tmp_path / "plan.png"))
    assert words(again) >= nodes
    assert len(again.axes[0].patches) == len(figure.axes[0].patches)
