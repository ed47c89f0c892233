"""LSTM, GRU and SRU as graphs, with the gates of each in one wide node: one matrix product for all of them."""

from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.parts import Edge, Node


def lstm_graph(inputs: int, hidden: int, peepholes: bool = False) -> Graph:
    """An LSTM; blocks of the weights: input gate, forget gate, candidate, output gate, as in `torch.nn.LSTM`.

        i, f, o = sigmoid,  g = tanh   of  W x[t] + U h[t-1] + b
        c[t] = f * c[t-1] + i * g
        h[t] = o * tanh(c[t])

    With peepholes the gates i and f see ``c[t-1]`` and o sees ``c[t]``, each through one number a cell. The forget bias
    starts at 1.

    Examples:
        >>> from fewbit.nn import plan
        >>> print(plan(lstm_graph(inputs=6, hidden=5)).loops[0].nodes)
        ('gates', 'i', 'f', 'g', 'o', 'kept', 'written', 'c', 'shown', 'h')

    References:
        Hochreiter, Schmidhuber 1997; Gers, Schmidhuber 2000, "Recurrent nets that time and count" (peepholes).
    """
    nodes, edges = lstm_parts("", hidden, hidden_before=Edge("h", "gates", delay=1, name="h_gates"))
    edges = [Edge("x", "gates"), *edges, Edge("c", "kept", "identity", delay=1)]
    for gate in "ifo" if peepholes else "":
        nodes.append(Node(f"c_{gate}", hidden, "product"))
        edges += [
            Edge("one", f"c_{gate}", name=f"peephole_{gate}"),
            Edge("c", f"c_{gate}", "identity", delay=0 if gate == "o" else 1),
            Edge(f"c_{gate}", gate, "identity"),
        ]
    return Graph((*sources(inputs), *nodes), tuple(edges), "h")


def gru_graph(inputs: int, hidden: int) -> Graph:
    """A GRU; blocks of the weights: reset gate, update gate, candidate, as in `torch.nn.GRU`.

        r, z = sigmoid of  W x[t] + U h[t-1] + b
        n    = tanh(W_n x[t] + b_n + r * (U_n h[t-1] + d_n))
        s[t] = z * s[t-1] + (1 - z) * n,   h = s

    ``h`` is the copy of the state that is stored, multiplied and sent on, as in `fewbit.nn.GRU`.

    Examples:
        >>> import torch
        >>> from fewbit.nn import GraphRNN
        >>> y, _ = GraphRNN(gru_graph(inputs=6, hidden=5))(torch.randn(1, 20, 6))
        >>> y.shape
        torch.Size([1, 20, 5])

    References:
        Cho et al. 2014 (arXiv 1406.1078), in the form of `torch.nn.GRU`.
    """
    n = hidden
    nodes = (
        *sources(inputs),
        Node("new", 3 * n),
        Node("old", 3 * n),
        Node("r", n, activation="sigmoid"),
        Node("z", n, activation="sigmoid"),
        Node("back", n),
        Node("reset", n, "product"),
        Node("n", n, activation="tanh"),
        Node("open", n, activation="one_minus"),
        Node("kept", n, "product"),
        Node("written", n, "product"),
        Node("s", n, signal="wide"),
        Node("h", n, signal="narrow"),
    )
    edges = (
        Edge("x", "new"),
        Edge("one", "new", name="new"),
        Edge("h", "old", delay=1, name="h_old"),
        *(Edge(side, "r", "identity", start=0, stop=n) for side in ("new", "old")),
        *(Edge(side, "z", "identity", start=n, stop=2 * n) for side in ("new", "old")),
        Edge("old", "back", "identity", start=2 * n),
        Edge("one", "back", name="back"),
        Edge("r", "reset", "identity"),
        Edge("back", "reset", "identity"),
        Edge("new", "n", "identity", start=2 * n),
        Edge("reset", "n", "identity"),
        Edge("z", "open", "identity"),
        Edge("z", "kept", "identity"),
        Edge("s", "kept", "identity", delay=1),
        Edge("open", "written", "identity"),
        Edge("n", "written", "identity"),
        Edge("kept", "s", "identity"),
        Edge("written", "s", "identity"),
        Edge("s", "h", "identity"),
    )
    return Graph(nodes, edges, "h")


def sru_graph(inputs: int, hidden: int) -> Graph:
    """An SRU; blocks of the weights: candidate, forget gate, reset gate, and a skip where the widths differ.

        xt, f, r = W x[t],  sigmoid(W_f x[t] + b_f),  sigmoid(W_r x[t] + b_r)
        c[t] = f * c[t-1] + (1 - f) * xt
        h[t] = r * tanh(c[t]) + (1 - r) * skip[t]

    Its loop holds two nodes and no matrix.

    Examples:
        >>> from fewbit.nn import plan
        >>> plan(sru_graph(inputs=6, hidden=5)).step_matmuls  # in the loop
        0

    References:
        Lei, Zhang, Artzi 2017, "Training RNNs as fast as CNNs" (arXiv 1709.02755, the form of 2017).
    """
    n, projected = hidden, inputs != hidden
    nodes = (
        *sources(inputs),
        Node("u", (4 if projected else 3) * n),
        Node("f", n, activation="sigmoid"),
        Node("r", n, activation="sigmoid"),
        Node("open", n, activation="one_minus"),
        Node("past", n, activation="one_minus"),
        Node("written", n, "product"),
        Node("kept", n, "product"),
        Node("c", n, signal="wide"),
        Node("shown", n, activation="tanh"),
        Node("deep", n, "product"),
        Node("skip", n, "product"),
        Node("h", n),
    )
    edges = (
        Edge("x", "u"),
        Edge("u", "f", "identity", start=n, stop=2 * n),
        Edge("one", "f", name="f"),
        Edge("u", "r", "identity", start=2 * n, stop=3 * n),
        Edge("one", "r", name="r"),
        Edge("f", "open", "identity"),
        Edge("r", "past", "identity"),
        Edge("open", "written", "identity"),
        Edge("u", "written", "identity", stop=n),
        Edge("f", "kept", "identity"),
        Edge("c", "kept", "identity", delay=1),
        Edge("written", "c", "identity"),
        Edge("kept", "c", "identity"),
        Edge("c", "shown", "identity"),
        Edge("r", "deep", "identity"),
        Edge("shown", "deep", "identity"),
        Edge("past", "skip", "identity"),
        Edge("u", "skip", "identity", start=3 * n) if projected else Edge("x", "skip", "identity"),
        Edge("deep", "h", "identity"),
        Edge("skip", "h", "identity"),
    )
    return Graph(nodes, edges, "h")


def sources(inputs: int) -> tuple[Node, Node]:
    """The node of the features and the constant for biases."""
    return Node("x", inputs, "input"), Node("one", 1, "constant")


def lstm_parts(prefix: str, hidden: int, hidden_before: Edge, clocked: bool = False) -> tuple[list[Node], list[Edge]]:
    """What is the same in every LSTM; missing are the edges from the input and from the old cell into `kept`.

    Args:
        prefix: of the names of all nodes.
        hidden: cells.
        hidden_before: the full edge from the old output into `gates`.
        clocked: whether cell and output are called `new_c` and `new_h`, because a clock mixes them with the old ones.
    """
    p, n, new = prefix, hidden, prefix + ("new_" if clocked else "")
    nodes = [
        Node(f"{p}gates", 4 * n),
        *(Node(f"{p}{gate}", n, activation="tanh" if gate == "g" else "sigmoid") for gate in "ifgo"),
        Node(f"{p}written", n, "product"),
        Node(f"{p}kept", n, "product"),
        Node(f"{new}c", n, signal=None if clocked else "wide"),
        Node(f"{p}shown", n, activation="tanh"),
        Node(f"{new}h", n, "product", signal=None if clocked else "narrow"),
    ]
    edges = [
        hidden_before,
        Edge("one", f"{p}gates", name=f"{p}gates", initial=(0.0, 1.0, 0.0, 0.0)),
        *(Edge(f"{p}gates", p + gate, "identity", start=k * n, stop=k * n + n) for k, gate in enumerate("ifgo")),
        Edge(f"{p}i", f"{p}written", "identity"),
        Edge(f"{p}g", f"{p}written", "identity"),
        Edge(f"{p}f", f"{p}kept", "identity"),
        Edge(f"{p}written", f"{new}c", "identity"),
        Edge(f"{p}kept", f"{new}c", "identity"),
        Edge(f"{new}c", f"{p}shown", "identity"),
        Edge(f"{p}o", f"{new}h", "identity"),
        Edge(f"{p}shown", f"{new}h", "identity"),
    ]
    return nodes, edges
