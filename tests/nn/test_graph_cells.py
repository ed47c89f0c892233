"""Graphs of known cells against torch, against the layers of the same name, and against their equations."""

import pytest
import torch

from fewbit import nn as layers
from fewbit.errors import GraphError
from fewbit.nn import GraphRNN
from fewbit.quant import attach

CELLS = {
    "LSTM": (torch.nn.LSTM, layers.lstm_graph, {"weight_x_gates": "weight_ih_l0", "weight_h_gates": "weight_hh_l0"}),
    "GRU": (torch.nn.GRU, layers.gru_graph, {"weight_x_new": "weight_ih_l0", "weight_h_old": "weight_hh_l0"}),
}


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_equal_those_of_torch_weight_for_weight(cell, batch):
    torch.manual_seed(0)
    theirs, draw, names = CELLS[cell]
    reference = theirs(6, 5, batch_first=True)
    layer = layers.import_weights(GraphRNN(draw(6, 5)), reference)
    x = torch.randn(batch, 50, 6, requires_grad=True)
    y, state = layer(x)
    wanted, last = reference(x)
    assert torch.allclose(y, wanted, atol=1e-5)
    hidden = last[0] if cell == "LSTM" else last
    assert torch.allclose(state[-1][:, 0], hidden[0], atol=1e-5)
    errors = torch.randn_like(y)
    (got_x,) = torch.autograd.grad((y * errors).sum(), x, retain_graph=True)
    (want_x,) = torch.autograd.grad((wanted * errors).sum(), x, retain_graph=True)
    assert torch.allclose(got_x, want_x, atol=1e-5)
    (y * errors).sum().backward()
    (wanted * errors).sum().backward()
    grads = {name: parameter.grad for name, parameter in reference.named_parameters()}
    for ours, name in names.items():
        assert torch.allclose(getattr(layer, ours).grad, grads[name], atol=1e-5), ours
    if cell == "LSTM":
        assert torch.allclose(layer.bias_gates.grad, grads["bias_hh_l0"], atol=1e-5)
    else:
        assert torch.allclose(layer.bias_new.grad, grads["bias_ih_l0"], atol=1e-5)
        assert torch.allclose(layer.bias_back.grad, grads["bias_hh_l0"][10:], atol=1e-5)


@pytest.mark.parametrize("batch", [1, 8])
def test_peepholes_equal_their_equations(batch):
    torch.manual_seed(0)
    layer = GraphRNN(layers.lstm_graph(6, 5, peepholes=True)).double()
    reference = {name: parameter.detach().clone().requires_grad_() for name, parameter in layer.named_parameters()}
    x = torch.randn(batch, 50, 6, dtype=torch.float64)
    c = h = x.new_zeros(batch, 5)
    outputs = []
    for frame in x.unbind(1):
        gates = frame @ reference["weight_x_gates"].T + h @ reference["weight_h_gates"].T + reference["bias_gates"]
        i, f, g, o = gates.chunk(4, 1)
        i = torch.sigmoid(i + reference["scale_peephole_i"] * c)
        f = torch.sigmoid(f + reference["scale_peephole_f"] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + reference["scale_peephole_o"] * c) * torch.tanh(c)
        outputs.append(h)
    wanted = torch.stack(outputs, 1)
    y, _ = layer(x)
    assert torch.allclose(y, wanted)
    y.square().sum().backward()
    wanted.square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert torch.allclose(parameter.grad, reference[name].grad), name


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU, layers.SRU])
@pytest.mark.parametrize("hidden", [5, 6])
def test_graphs_equal_the_layers_of_the_same_name(cell, hidden):
    torch.manual_seed(0)
    draw = {layers.LSTM: layers.lstm_graph, layers.GRU: layers.gru_graph, layers.SRU: layers.sru_graph}[cell]
    source = cell(6, hidden)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.uniform_(-0.5, 0.5)
    layer = layers.import_weights(GraphRNN(draw(6, hidden)), source)
    x = torch.randn(3, 12, 6)
    assert torch.allclose(layer(x)[0], source(x)[0], atol=1e-6)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SRU"])
def test_quantized_training_is_that_of_the_layer_of_the_same_name(cell):
    torch.manual_seed(0)
    source = getattr(layers, cell)(6, 5)
    layer = layers.import_weights(GraphRNN(getattr(layers, f"{cell.lower()}_graph")(6, 5)), source)
    x = torch.randn(3, 9, 6)
    for module in (layer, source):
        attach(module, "ternary+learned")
        module(x)[0].square().sum().backward()
    ours = [p.grad for _, p in sorted(layer.named_parameters()) if p.dim() == 2]
    theirs = [p.grad for _, p in sorted(source.named_parameters()) if p.dim() == 2]
    for gradient in ours:
        assert any(gradient.shape == other.shape and torch.allclose(gradient, other, atol=1e-5) for other in theirs)
    steps = [p.grad for p in layer.parameters() if p.numel() == 1]
    assert len(steps) == len(ours)
    assert all(step.abs() > 0 for step in steps)


def test_a_clock_holds_and_ticks():
    torch.manual_seed(0)
    clocked, plain = GraphRNN(layers.clocked_lstm_graph(3, 4)), GraphRNN(layers.lstm_graph(3, 4))
    with torch.no_grad():
        plain.weight_x_gates.copy_(clocked.weight_x_gates)
        plain.weight_h_gates.copy_(clocked.weight_h_gates)
        plain.bias_gates.copy_(clocked.bias_gates)
    x, clock = torch.randn(1, 9, 3), torch.tensor([0.0, 1, 0, 0, 1, 1, 0, 1, 0])
    y, _ = clocked(torch.cat([x, clock.view(1, 9, 1)], 2))
    wanted, _ = plain(x[:, clock.bool()])
    assert torch.allclose(y[:, clock.bool()], wanted, atol=1e-6)
    held = (~clock.bool()).nonzero().flatten()[1:]
    assert torch.equal(y[:, held], y[:, held - 1])
    assert not y[:, 0].any()


def hierarchical(layer, x, clock, direct):
    """The two levels as their equations say, frame by frame."""

    def lstm(name, gates, cell):
        i, f, g, o = (gates + getattr(layer, f"bias_{name}_gates")).chunk(4, -1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return cell, torch.sigmoid(o) * torch.tanh(cell)

    def product(name, value):
        return value @ getattr(layer, f"weight_{name}").T

    names = ("low1", "high1", "high2", "low2")
    c = {name: x.new_zeros(layer.outputs) for name in names}
    h = dict(c)
    outputs = []
    for frame, tick in zip(x, clock, strict=True):
        heard = h["low1"]
        for name in ("low1", "low2"):
            c[name], h[name] = c[name] * (1 - tick), h[name] * (1 - tick)
        gates = product("x_low1_gates", frame) + product("low1_h_gates", h["low1"])
        c["low1"], h["low1"] = lstm("low1", gates, c["low1"])
        if tick:
            gates = product("low1_h_high1_gates_1", heard) + product("x_high1_gates", frame)
            c["high1"], h["high1"] = lstm("high1", gates + product("high1_h_gates", h["high1"]), c["high1"])
            gates = product("high1_h_high2_gates", h["high1"]) + product("high2_h_gates", h["high2"])
            c["high2"], h["high2"] = lstm("high2", gates, c["high2"])
        below = product("x_low2_gates", frame) if direct else product("low1_h_low2_gates", h["low1"])
        gates = below + product("high2_h_low2_gates", h["high2"]) + product("low2_h_gates", h["low2"])
        c["low2"], h["low2"] = lstm("low2", gates, c["low2"])
        outputs.append(h["low2"])
    return torch.stack(outputs)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("clock", ["000000000", "111111111", "100110010", "010000001"])
def test_two_levels_equal_their_equations(direct, clock):
    torch.manual_seed(0)
    layer = GraphRNN(layers.hierarchical_lstm_graph(3, 4, direct)).double()
    x, ticks = torch.randn(9, 3).double(), torch.tensor([float(tick) for tick in clock]).double()
    y, _ = layer(torch.cat([x, ticks[:, None]], 1)[None])
    assert torch.allclose(y[0], hierarchical(layer, x, ticks, direct))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.nn.LSTM(6, 4), r"the graph is LSTM\(6, 5\); wanted LSTM\(6, 4\), as the source is"),
        (torch.nn.GRU(6, 5), r"the graph is LSTM\(6, 5\); wanted GRU\(6, 5\)"),
        (torch.nn.LSTM(6, 5, num_layers=2), r"more than one plain cell; wanted num_layers=1"),
        (torch.nn.LSTM(6, 5, bidirectional=True), r"more than one plain cell"),
    ],
)
def test_weights_of_another_cell_are_refused(source, message):
    with pytest.raises(GraphError, match=message):
        layers.import_weights(GraphRNN(layers.lstm_graph(6, 5)), source)


def test_a_cell_without_biases_is_imported():
    torch.manual_seed(0)
    source = torch.nn.LSTM(6, 5, bias=False, batch_first=True)
    x = torch.randn(2, 7, 6)
    assert torch.allclose(
        layers.import_weights(GraphRNN(layers.lstm_graph(6, 5)), source)(x)[0], source(x)[0], atol=1e-6
    )


def test_parameters_start_as_they_are_drawn():
    layer = GraphRNN(layers.lstm_graph(6, 4))
    assert layer.bias_gates.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    assert layer.weight_x_gates.abs().max() <= 6**-0.5
