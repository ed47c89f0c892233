"""LSTMs that tick when a clock in their input says so, alone and in two levels.

    s[t] = (1 - c)(1 - r) s[t-1] + c f(x[t], (1 - r) s[t-1])        state s = (cell, output), clock c, reset r

The clock is a number from 0 to 1 in each frame: the last feature. Frames without a tick are computed and discarded:
a clock keeps memory over time, it does not save work.

References:
    Hwang, Sung 2016, "Character-level language modeling with hierarchical recurrent neural networks"
    (arXiv 1609.03777).
"""

from fewbit.nn.graph.cells import lstm_parts, sources
from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.parts import Edge, Node


def clocked_lstm_graph(inputs: int, hidden: int) -> Graph:
    """An LSTM that holds cell and output in frames whose clock is 0; the input is `inputs` features and the clock.

    c, h = clock * LSTM(x[t], c[t-1], h[t-1]) + (1 - clock) * (c[t-1], h[t-1])

    Examples:
        >>> import torch
        >>> from fewbit.nn import GraphRNN
        >>> layer = GraphRNN(clocked_lstm_graph(inputs=3, hidden=4))
        >>> y, _ = layer(torch.cat([torch.randn(1, 5, 3), torch.zeros(1, 5, 1)], -1))  # the clock never ticks
        >>> y.abs().max().item()
        0.0
    """
    nodes, edges = _clock(inputs)
    _ticking(nodes, edges, "", hidden)
    edges.append(Edge("x", "gates", stop=inputs))
    return Graph((*sources(inputs + 1), *nodes), tuple(edges), "h")


def hierarchical_lstm_graph(inputs: int, hidden: int, direct: bool = False) -> Graph:
    """Two levels of two LSTMs each; the input is `inputs` features and the clock of the upper level.

        low1:   x[t]                        is reset when the clock ticks
        high1:  low1[t-1] and x[t]          ticks with the clock, else holds
        high2:  high1[t]                    ticks with the clock, else holds
        low2:   low1[t] and high2[t]        is reset when the clock ticks; its output is the layer's

    For characters the clock is 1 at word boundaries. ``low1[t-1]`` is read before the reset: it has seen the whole
    word.

    Args:
        inputs: features of a frame.
        hidden: cells of each LSTM.
        direct: `low2` reads ``x[t]`` in place of ``low1[t]`` (HLSTM-A; left out, it is HLSTM-B).

    Examples:
        >>> from fewbit.nn import GraphRNN
        >>> layer = GraphRNN(hierarchical_lstm_graph(inputs=3, hidden=4))
        >>> layer.inputs, layer.outputs, len(layer.plan.loops)
        (4, 4, 4)
    """
    nodes, edges = _clock(inputs)
    _resetting(nodes, edges, "low1_", hidden)
    _ticking(nodes, edges, "high1_", hidden)
    _ticking(nodes, edges, "high2_", hidden)
    _resetting(nodes, edges, "low2_", hidden)
    edges += [
        Edge("x", "low1_gates", stop=inputs),
        Edge("low1_h", "high1_gates", delay=1),
        Edge("x", "high1_gates", stop=inputs),
        Edge("high1_h", "high2_gates"),
        Edge("x", "low2_gates", stop=inputs) if direct else Edge("low1_h", "low2_gates"),
        Edge("high2_h", "low2_gates"),
    ]
    return Graph((*sources(inputs + 1), *nodes), tuple(edges), "low2_h")


def _clock(inputs: int) -> tuple[list[Node], list[Edge]]:
    """The last feature, and one less it."""
    nodes = [Node("tick", 1), Node("hold", 1, activation="one_minus")]
    return nodes, [Edge("x", name, "identity", start=inputs) for name in ("tick", "hold")]


def _ticking(nodes: list[Node], edges: list[Edge], p: str, hidden: int) -> None:
    """An LSTM whose cell and output are mixed with the old ones by the clock."""
    inner, wires = lstm_parts(p, hidden, Edge(f"{p}h", f"{p}gates", delay=1, name=f"{p}h_gates"), clocked=True)
    nodes += inner
    edges += [*wires, Edge(f"{p}c", f"{p}kept", "identity", delay=1)]
    for value, signal in (("c", "wide"), ("h", "narrow")):
        fresh, held, mixed = f"{p}fresh_{value}", f"{p}held_{value}", f"{p}{value}"
        nodes += [Node(fresh, hidden, "product"), Node(held, hidden, "product"), Node(mixed, hidden, signal=signal)]
        edges += [
            Edge("tick", fresh, "broadcast"),
            Edge(f"{p}new_{value}", fresh, "identity"),
            Edge("hold", held, "broadcast"),
            Edge(mixed, held, "identity", delay=1),
            Edge(fresh, mixed, "identity"),
            Edge(held, mixed, "identity"),
        ]


def _resetting(nodes: list[Node], edges: list[Edge], p: str, hidden: int) -> None:
    """An LSTM whose old cell and output are zeroed before it reads them in a frame with a tick."""
    inner, wires = lstm_parts(p, hidden, Edge(f"{p}old_h", f"{p}gates", name=f"{p}h_gates"))
    nodes += inner
    edges += [*wires, Edge(f"{p}old_c", f"{p}kept", "identity")]
    for value in "ch":
        nodes.append(Node(f"{p}old_{value}", hidden, "product"))
        edges += [
            Edge("hold", f"{p}old_{value}", "broadcast"),
            Edge(f"{p}{value}", f"{p}old_{value}", "identity", delay=1),
        ]
