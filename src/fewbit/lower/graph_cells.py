"""Graphs that have an integer op: those that equal an LSTM, a GRU or an SRU."""

import torch
from torch import nn
from torch.nn.utils import parametrize

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.nn.graph.recognition import unmatched_node

Cell = layers.LSTM | layers.GRU | layers.SRU


def cell_of(layer: layers.GraphRNN) -> Cell:
    """The layer of `fewbit.nn` that computes the same, with the weights, quantizers and signals of `layer`.

    Raises:
        LoweringError: the graph is none of these cells; the message names a node without a match.
    """
    found = layers.recognise(layer.graph)
    if found is None:
        node = unmatched_node(layer.graph)
        raise LoweringError(
            f"its graph is no cell with an integer op: node {node.name!r} ({node.aggregation}, {node.activation}, "
            f"{node.size} units, signal={node.signal!r}) has no match in LSTM, GRU or SRU; draw one of these "
            "(lstm_graph, gru_graph, sru_graph, signals included), or keep the layer in torch"
        )

    def value(name: str) -> torch.Tensor:
        tensor = getattr(layer, found.parameters[name])
        assert isinstance(tensor, torch.Tensor)
        return tensor.detach()

    def signal(name: str) -> layers.Signal:
        return layer.get_submodule(f"signal_{found.nodes[name]}")  # type: ignore[return-value]

    cell: Cell
    match found.cell:
        case "LSTM":
            cell = layers.LSTM(found.inputs, found.hidden)
            weights = {"weight": "weight_x_gates", "weight_hidden": "weight_h_gates"}
            biases = {"bias": value("bias_gates")}
            cell.hidden, cell.cell = signal("h"), signal("c")
        case "GRU":
            cell = layers.GRU(found.inputs, found.hidden)
            weights = {"weight": "weight_x_new", "weight_hidden": "weight_h_old"}
            biases = {"bias": value("bias_new"), "bias_hidden": value("bias_back")}
            cell.hidden, cell.cell = signal("h"), signal("s")
        case _:
            cell = layers.SRU(found.inputs, found.hidden)
            weights = {"weight": "weight_x_u"}
            biases = {"bias": torch.cat([value("bias_f"), value("bias_r")])}
            cell.cell = signal("c")
    for name, bias in biases.items():
        setattr(cell, name, nn.Parameter(bias))
    for name, there in weights.items():
        _share(cell, name, layer, found.parameters[there])
    return cell


def _share(cell: Cell, name: str, layer: layers.GraphRNN, there: str) -> None:
    """Give `cell` a weight of `layer`, with what stands before it."""
    if not parametrize.is_parametrized(layer, there):
        setattr(cell, name, nn.Parameter(getattr(layer, there).detach()))
        return
    stack = layer.get_submodule(f"parametrizations.{there}")
    assert isinstance(stack, parametrize.ParametrizationList)
    setattr(cell, name, nn.Parameter(stack.original.detach()))
    for step in stack:
        parametrize.register_parametrization(cell, name, step, unsafe=True)  # only read: nothing is written back
