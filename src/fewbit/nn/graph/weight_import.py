"""Weights of LSTM, GRU and SRU layers for the graphs of these cells."""

import torch
from torch import Tensor, nn

from fewbit.errors import GraphError
from fewbit.nn.graph.layer import GraphRNN
from fewbit.nn.graph.recognition import recognise
from fewbit.nn.gru import GRU
from fewbit.nn.lstm import LSTM
from fewbit.nn.sru import SRU


def import_weights(layer: GraphRNN, source: nn.LSTM | nn.GRU | LSTM | GRU | SRU) -> GraphRNN:
    """Copy the weights of `source` into a graph of the same cell, in place; the two then give the same output.

    Of torch's layers: one layer, one direction, no projection. Their two biases become one where only their sum counts.

    Raises:
        GraphError: `layer` is another cell, has other sizes, or `source` is more than one plain cell.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.nn import gru_graph
        >>> source, x = nn.GRU(6, 5, batch_first=True), torch.randn(1, 20, 6)
        >>> layer = import_weights(GraphRNN(gru_graph(inputs=6, hidden=5)), source)
        >>> torch.allclose(layer(x)[0], source(x)[0], atol=1e-5)
        True
    """
    found = recognise(layer.graph)
    seen = "another graph" if found is None else f"{found.cell}({found.inputs}, {found.hidden})"
    inputs = source.input_size if isinstance(source, nn.RNNBase) else source.inputs
    wanted = f"{type(source).__name__}({inputs}, {source.hidden_size})"
    if found is None or seen != wanted:
        raise GraphError(f"import_weights: the graph is {seen}; wanted {wanted}, as the source is")
    weights = _read_torch(source) if isinstance(source, nn.RNNBase) else _read(source)
    with torch.no_grad():
        for name, value in weights.items():
            getattr(layer, found.parameters[name]).copy_(value)
    return layer


def _read_torch(source: nn.RNNBase) -> dict[str, Tensor]:
    """Parameters by their names in the graphs of this package."""
    if source.num_layers != 1 or source.bidirectional or source.proj_size:
        raise GraphError(
            f"import_weights: {source} is more than one plain cell; wanted num_layers=1, bidirectional=False and "
            "proj_size=0; use a GraphRNN for each layer"
        )
    weight, hidden, *both = source._flat_weights
    assert weight is not None
    assert hidden is not None
    size = source.hidden_size
    first, second = both or [weight.new_zeros(len(weight))] * 2
    assert first is not None
    assert second is not None
    if isinstance(source, nn.LSTM):
        return {"weight_x_gates": weight, "weight_h_gates": hidden, "bias_gates": first + second}
    # The gates add both biases; in the candidate the reset gate scales the second one.
    bias = first + torch.cat([second[: 2 * size], second.new_zeros(size)])
    return {"weight_x_new": weight, "weight_h_old": hidden, "bias_new": bias, "bias_back": second[2 * size :]}


def _read(source: LSTM | GRU | SRU) -> dict[str, Tensor]:
    if isinstance(source, LSTM):
        return {"weight_x_gates": source.weight, "weight_h_gates": source.weight_hidden, "bias_gates": source.bias}
    if isinstance(source, SRU):
        forget, reset = source.bias.chunk(2)
        return {"weight_x_u": source.weight, "bias_f": forget, "bias_r": reset}
    return {
        "weight_x_new": source.weight,
        "weight_h_old": source.weight_hidden,
        "bias_new": source.bias,
        "bias_back": source.bias_hidden,
    }
