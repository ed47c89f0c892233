"""Loops and orders against brute force, what a plan says, and drawings that cannot be run."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit import nn as layers
from fewbit.errors import GraphError
from fewbit.nn import Edge, Graph, Node, plan

X, ONE = Node("x", 2, "input"), Node("one", 1, "constant")


@st.composite
def wires(draw):
    """How many nodes, and edges (source, target, delay) between them; node 0 is the input."""
    size = draw(st.integers(2, 9))
    edge = st.tuples(st.integers(0, size - 1), st.integers(1, size - 1), st.integers(0, 3))
    edges = draw(st.lists(edge, max_size=16))
    fed = [(draw(st.integers(0, size - 1)), target, draw(st.integers(0, 1))) for target in range(1, size)]
    return size, [*edges, *fed]


def graph_of(size, edges):
    nodes = [X, *(Node(f"n{number}", 2) for number in range(1, size))]
    drawn = [Edge(nodes[a].name, nodes[b].name, "identity", delay) for a, b, delay in edges]
    return Graph(tuple(nodes), tuple(drawn), nodes[-1].name)


def reaches(size, edges):
    """Which nodes reach which, by powers of the matrix of edges."""
    one_step = torch.zeros(size, size)
    for a, b, _ in edges:
        one_step[a, b] = 1
    walks, total = one_step.clone(), one_step.clone()
    for _ in range(size):
        walks = ((walks @ one_step) > 0).float()
        total += walks
    return total > 0


@settings(max_examples=200, deadline=None)
@given(wires())
def test_components_and_their_order_equal_brute_force(drawn):
    size, edges = drawn
    there, at_once = reaches(size, edges), reaches(size, [edge for edge in edges if edge[2] == 0])
    graph = graph_of(size, edges)
    if at_once.diagonal().any():
        with pytest.raises(GraphError, match="has no delay") as refused:
            plan(graph)
        named = str(refused.value).split()[2 : str(refused.value).split().index("has")][::2]
        assert named[0] == named[-1]
        circle = [graph.nodes.index(graph[name]) for name in named]
        assert all((a, b, 0) in edges for a, b in pairwise(circle))
        return
    found = plan(graph)
    number = {node.name: place for place, node in enumerate(graph.nodes)}
    groups = [[number[name] for name in component.nodes] for component in found.components]
    assert sorted(place for group in groups for place in group) == list(range(size))
    assert {frozenset(group) for group in groups} == {
        frozenset(b for b in range(size) if a == b or (there[a, b] and there[b, a])) for a in range(size)
    }
    for component, group in zip(found.components, groups, strict=True):
        assert component.loop == bool(there[group[0], group[0]])
        for a, b, delay in edges:
            if delay == 0 and a in group and b in group:
                assert group.index(a) < group.index(b)
    stage = {name: place for place, stage in enumerate(found.stages) for part in stage for name in part.nodes}
    for edge in graph.edges:
        inside = any(edge.source in part.nodes and edge.target in part.nodes for part in found.components)
        assert inside or stage[edge.source] < stage[edge.target]
    inner = sum(len(component.internal) for component in found.components)
    assert inner + sum(len(component.hoisted) for component in found.components) == len(edges)


def test_a_long_chain_needs_no_recursion():
    nodes = [X, *(Node(f"n{number}", 2) for number in range(1500))]
    edges = [Edge(a.name, b.name, "identity") for a, b in pairwise(nodes)]
    assert len(plan(Graph(tuple(nodes), tuple(edges), nodes[-1].name)).stages) == 1501
    loop = Edge(nodes[-1].name, nodes[1].name, "identity", delay=1)
    assert len(plan(Graph(tuple(nodes), (*edges, loop), nodes[-1].name)).loops[0].nodes) == 1500


def test_what_does_not_depend_on_one_another_shares_a_stage():
    nodes = (X, *(Node(name, 2) for name in "abc"), Node("y", 2))
    loops = [Edge(name, name, delay=1) for name in "abc"]
    inner = [Edge("x", name) for name in "abc"], [Edge(name, "y") for name in "abc"]
    found = plan(Graph(nodes, (*loops, *inner[0], *inner[1]), "y"))
    assert [[part.nodes for part in stage] for stage in found.stages] == [
        [("x",)],
        [("a",), ("b",), ("c",)],
        [("y",)],
    ]
    assert [part.nodes for part in found.loops] == [("a",), ("b",), ("c",)]


def test_a_loop_over_several_layers_can_hoist_nothing_between_them():
    nodes = (X, Node("a", 2, activation="tanh"), Node("b", 2, activation="tanh"))
    edges = (Edge("x", "a"), Edge("a", "b"), Edge("b", "a", delay=2))
    found = plan(Graph(nodes, edges, "b"))
    assert (found.hoisted_matmuls, found.step_matmuls) == (1, 2)
    assert found.past == {"b": 2}


def test_a_plan_shows_loops_what_is_hoisted_and_the_order():
    assert str(plan(layers.sru_graph(3, 2))).splitlines() == [
        "14 nodes, 20 edges, 1 loop; matrix products in a chunk of T frames: 1 + 0 T",
        "stage 0  input     x (3)",
        "stage 0  constant  one (1)",
        "stage 1  at once   u (8) = weight_x_u @ x",
        "stage 2  at once   f (2) = sigmoid(u[2:4] + bias_f)",
        "stage 2  at once   r (2) = sigmoid(u[4:6] + bias_r)",
        "stage 3  at once   open (2) = one_minus(f)",
        "stage 3  at once   past (2) = one_minus(r)",
        "stage 4  at once   written (2) = open * u[0:2]",
        "stage 4  at once   skip (2) = past * u[6:8]",
        "stage 5  loop      kept, c",
        "    all frames  kept (2) = f * ...",
        "    all frames  c (2) = written + ...",
        "    each frame  kept (2) = ... * c(t-1)",
        "    each frame  c (2) = ... + kept",
        "stage 6  at once   shown (2) = tanh(c)",
        "stage 7  at once   deep (2) = r * shown",
        "stage 8  at once   h (2) = deep + skip",
        "output: h; state: c (1 frame)",
    ]
    shown = str(plan(layers.lstm_graph(3, 2)))
    assert "    all frames  gates (8) = bias_gates + weight_x_gates @ x + ..." in shown
    assert "    each frame  gates (8) = ... + weight_h_gates @ h(t-1)" in shown
    assert "2 loops" in str(
        plan(
            Graph(
                (X, Node("a", 2), Node("b", 2)),
                (Edge("x", "a"), Edge("a", "a", delay=3), Edge("a", "b"), Edge("b", "b", delay=1)),
                "b",
            )
        )
    )


def test_a_loop_without_delay_is_named():
    nodes = (X, Node("a", 2), Node("b", 2), Node("c", 2))
    edges = (Edge("x", "a"), Edge("a", "b"), Edge("b", "c"), Edge("c", "a"), Edge("c", "b", delay=1))
    with pytest.raises(GraphError) as refused:
        plan(Graph(nodes, edges, "c"))
    assert str(refused.value) == (
        "the loop a -> b -> c -> a has no delay, so none of its nodes can be first in a frame; give one of its edges "
        "delay=1"
    )
    with pytest.raises(GraphError, match="the loop a -> a has no delay"):
        plan(Graph(nodes[:2], (Edge("x", "a"), Edge("a", "a")), "a"))


Y = Node("y", 2)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: Node("2nd", 2), r"^Node\('2nd'\): a name is a letter and then letters, digits and underscores$"),
        (lambda: Node("a.b", 2), r"a name is a letter"),
        (lambda: Node("a", 0), r"^Node\('a'\): size is 0; wanted at least one unit$"),
        (
            lambda: Node("a", 2, "mean"),
            r"aggregation is 'mean'; wanted one of \['sum', 'product', 'input', 'constant'\]",
        ),
        (lambda: Node("a", 2, activation="softmax"), r"activation is 'softmax'; wanted one of \['linear', 'sigmoid'"),
        (lambda: Node("a", 2, signal="int8"), r"signal is 'int8'; wanted one of \[None, 'narrow', 'wide'\]"),
        (
            lambda: Node("a", 2, "input", "tanh"),
            r"a node of kind 'input' has neither activation nor signal; put a node",
        ),
        (lambda: Node("a", 2, "constant"), r"a constant has size 1, not 2; edges widen it"),
        (lambda: Edge("x", "y", "conv"), r"^Edge x -> y: kind is 'conv'; wanted one of \['full', 'identity', 'broad"),
        (lambda: Edge("x", "y", delay=-1), r"delay is -1; a node cannot read later frames"),
        (lambda: Edge("x", "y", start=2, stop=2), r"reads units 2 to 2; wanted 0 <= start < stop"),
        (lambda: Edge("x", "y", "identity", name="w"), r"only full edges have one"),
        (lambda: Graph((X, Y, Y), (Edge("x", "y"),), "y"), r"two nodes are called 'y'; rename one"),
        (lambda: Graph((Y,), (), "y"), r"there are 0 input nodes \[\]; wanted one, of which edges may read ranges"),
        (lambda: Graph((X, Node("z", 1, "input")), (), "x"), r"there are 2 input nodes \['x', 'z'\]"),
        (lambda: Graph((X, Y), (Edge("x", "y"),), "h"), r"the output 'h' is no node; there are \['x', 'y'\]"),
        (lambda: Graph((X, Y), (Edge("z", "y"),), "y"), r"^Edge z -> y: there is no node 'z'; there are \['x', 'y'\]$"),
        (lambda: Graph((X, Y), (), "y"), r"no edge goes into 'y'; draw one, or take the node away"),
        (lambda: Graph((X, Y), (Edge("y", "x"),), "y"), r"'x' is of kind 'input', which reads nothing"),
        (lambda: Graph((X, Y), (Edge("x", "y", stop=3),), "y"), r"reads up to unit 3 of 'x', which has 2"),
        (
            lambda: Graph((X, Y), (Edge("x", "y", start=2),), "y"),
            r"reads from unit 2 of 'x', which has 2",
        ),
        (
            lambda: Graph((X, Y), (Edge("x", "y", "identity", start=1),), "y"),
            r"identity carries 1 units into 2, wanted 2; read a range, or use kind='full'",
        ),
        (lambda: Graph((X, Y), (Edge("x", "y", "broadcast"),), "y"), r"broadcast carries 2 units into 2, wanted 1"),
        (
            lambda: Graph((X, ONE, Y), (Edge("one", "y", delay=1),), "y"),
            r"^Edge one -> y \(delay 1\): a constant is the same at any time; leave the delay out$",
        ),
        (
            lambda: Graph((X, Y), (Edge("x", "y"), Edge("x", "y", start=1)), "y"),
            r"two edges have a parameter 'weight_x_y'; give one of them a name",
        ),
        (
            lambda: Graph((X, Y), (Edge("x", "y", initial=(1.0, 2.0, 3.0)),), "y"),
            r"3 initial values for 2 units; wanted a divisor",
        ),
    ],
)
def test_drawings_that_cannot_be_run_are_refused(draw, message):
    with pytest.raises(GraphError, match=message):
        draw()
