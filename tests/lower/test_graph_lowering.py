"""Graphs that are a cell with an integer op have its Program; others are refused by a node's name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.lower import pack
from fewbit.nn import Edge, Graph, GraphRNN
from fewbit.passes import Quantize, compress
from fewbit.quant import calibrate, input_quantizer, quantizers

CELLS = {
    "LSTM": (layers.LSTM, layers.lstm_graph),
    "GRU": (layers.GRU, layers.gru_graph),
    "SRU": (layers.SRU, layers.sru_graph),
}
X = torch.randn(3, 20, 6, generator=torch.Generator().manual_seed(0))


def quantized(layer, outputs, weights="ternary"):
    torch.manual_seed(1)
    model = layers.Chain(layers.Normalize(6), layer, nn.Linear(outputs, 3)).eval()
    return compress(model, Quantize(weights=weights, activations="int8", calibration=[X]))


def other_names(graph):
    """The same graph with other names, drawn in another order."""
    names = {node.name: f"unit_{number}" for number, node in enumerate(reversed(graph.nodes))}
    nodes = [replace(node, name=names[node.name]) for node in graph.nodes]
    edges = [replace(edge, source=names[edge.source], target=names[edge.target], name="") for edge in graph.edges]
    return Graph(tuple(reversed(nodes)), tuple(reversed(edges)), names[graph.output])


def same_steps(student, twin):
    """Steps of signals are chosen by what comes by, which may differ in the last bit; here they do not."""
    theirs = {name.replace("1.hidden", "1.signal_h"): quantizer for name, quantizer in quantizers(twin)}
    for name, quantizer in quantizers(student):
        if name.endswith("input") and name in theirs:
            quantizer.load_state_dict(theirs[name].state_dict())
    hidden = input_quantizer(twin[1].hidden) if hasattr(twin[1], "hidden") else None
    if hidden is not None:
        name = student[1].graph.output
        input_quantizer(getattr(student[1], f"signal_{name}")).load_state_dict(hidden.state_dict())


@pytest.mark.parametrize("weights", ["ternary", "int4/3", "int8:row"])
@pytest.mark.parametrize("hidden", [5, 6])
@pytest.mark.parametrize("cell", CELLS)
def test_integers_are_those_of_the_layer_with_the_same_weights(cell, hidden, weights):
    torch.manual_seed(0)
    kind, draw = CELLS[cell]
    source = kind(6, hidden)
    for graph in (draw(6, hidden), other_names(draw(6, hidden))):
        layer = layers.import_weights(GraphRNN(graph), source)
        student, twin = quantized(layer, hidden, weights), quantized(source, hidden, weights)
        same_steps(student, twin)
        got, wanted = pack(student), pack(twin)
        assert got.to_bytes() == wanted.to_bytes()
        follows = student(X)[0][0].detach().double().numpy()
        assert np.abs(got(X[0].numpy()) - follows).max() < 0.04


def test_packing_leaves_the_network_as_it_was():
    torch.manual_seed(0)
    student = quantized(GraphRNN(layers.lstm_graph(6, 5)), 5)
    before, names = student(X)[0], list(dict(student.named_parameters()))
    pack(student)
    assert torch.equal(student(X)[0], before)
    assert list(dict(student.named_parameters())) == names
    calibrate(student, [X])


def moved(graph, **changes):
    """The graph with an edge changed, given as ``source_target=Edge(...)``."""
    edges = [changes.get(f"{edge.source}_{edge.target}", edge) for edge in graph.edges]
    return replace(graph, edges=tuple(edges))


def renode(graph, name, **changes):
    return replace(graph, nodes=tuple(replace(node, **changes) if node.name == name else node for node in graph.nodes))


@pytest.mark.parametrize(
    ("graph", "node"),
    [
        (lambda: layers.lstm_graph(6, 5, peepholes=True), "c_i"),
        (lambda: layers.clocked_lstm_graph(5, 5), "tick"),
        (lambda: renode(layers.lstm_graph(6, 5), "g", activation="relu"), "g"),
        (lambda: renode(layers.gru_graph(6, 5), "s", signal=None), "s"),
        (lambda: moved(layers.sru_graph(6, 5), c_kept=Edge("c", "kept", "identity", delay=2)), "kept"),
        (lambda: moved(layers.lstm_graph(6, 5), h_gates=Edge("c", "gates", delay=1)), "gates"),
    ],
)
def test_other_graphs_are_refused_by_a_node_and_with_a_way_out(graph, node):
    student = quantized(GraphRNN(graph()), 5)
    with pytest.raises(
        LoweringError, match=r"^1 \(GraphRNN\): its graph is no cell with an integer op: node "
    ) as refused:
        pack(student)
    assert "draw one of these (lstm_graph, gru_graph, sru_graph, signals included), or keep the layer" in str(
        refused.value
    )
    assert f"node '{node}'" in str(refused.value)


def test_float_weights_and_signals_are_refused_as_ever():
    model = layers.Chain(layers.Normalize(6), GraphRNN(layers.lstm_graph(6, 5)), nn.Linear(5, 3)).eval()
    with pytest.raises(
        LoweringError, match=r"1 \(GraphRNN\): its cell is quantized as int8, but Programs keep it as q3.12"
    ):
        pack(compress(model, Quantize("int8", {"*": "int8"}, calibration=[X])))
    student = compress(model, Quantize({"2": "int8", "*": None}, {"2": "int8", "1": "int8"}, calibration=[X]))
    with pytest.raises(LoweringError, match=r"1 \(GraphRNN\): its weight is float; quantize it"):
        pack(student)


@pytest.mark.parametrize("cell", CELLS)
def test_cells_are_recognised_whatever_they_are_called(cell):
    _, draw = CELLS[cell]
    for hidden in (5, 6):
        found = layers.recognise(other_names(draw(6, hidden)))
        assert (found.cell, found.inputs, found.hidden) == (cell, 6, hidden)


def test_two_gates_exchanged_are_another_cell():
    graph = layers.lstm_graph(6, 5)
    exchanged = moved(
        graph,
        gates_i=Edge("gates", "i", "identity", start=5, stop=10),
        gates_f=Edge("gates", "f", "identity", start=0, stop=5),
    )
    assert layers.recognise(exchanged) is None
