"""Signals inside of networks: kept, replaced, cut, and no trace afterwards."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from fewbit.distill import Place, inner_signals
from fewbit.errors import ArgumentError
from fewbit.quant import attach, calibrate

X = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def hooks(model):
    return [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]


def test_both_ends_are_kept():
    model = network()
    with inner_signals({"read": Place(model[2], "input"), "given": Place(model[1])}) as seen:
        y = model(X)
    assert torch.equal(seen["read"], seen["given"])
    assert torch.equal(y, model[2](seen["read"]))
    assert seen["read"].requires_grad


@pytest.mark.parametrize("place", ["input", "output"])
def test_what_is_replaced_goes_on_and_the_own_signal_is_kept(place):
    model, other = network(), torch.randn(2, 4)
    there = Place(model[2], "input") if place == "input" else Place(model[1])
    with inner_signals({0: there}, {0: other}) as seen:
        y = model(X)
    assert torch.equal(y, model[2](other))
    assert torch.equal(seen[0], model[:2](X))


class Pair(NamedTuple):
    scores: torch.Tensor
    state: int


@pytest.mark.parametrize(
    "result", [lambda y: (y, 7), lambda y: [y, 7], lambda y: Pair(y, 7), lambda y: {"logits": y, "state": 7}]
)
def test_what_stands_beside_a_signal_stays_the_networks_own(result):
    class Cell(nn.Module):
        def forward(self, x):
            return result(x + 1)

    model, other = Cell(), torch.randn(2, 3)
    with inner_signals({0: Place(model)}, {0: other}) as seen:
        found = model(X)
    assert type(found) is type(result(X))
    given, state = found.values() if isinstance(found, dict) else found
    assert torch.equal(given, other)
    assert state == 7
    assert torch.equal(seen[0], X + 1)


def test_a_quantizer_stands_behind_what_is_replaced():
    model = calibrate(attach(network(), weights="int8", activations={"2": "int4"}), [X])
    other = torch.randn(2, 4)
    with inner_signals({0: Place(model[2], "input")}, {0: other}) as seen:
        y = model(X)
    assert torch.equal(y, model[2](other))  # quantized by the layer
    assert not torch.equal(y, nn.functional.linear(other, model[2].weight, model[2].bias))
    assert torch.equal(seen[0], model[:2](X))  # as it was before its quantizer


def test_a_cut_lets_no_gradient_through():
    model = network()
    with inner_signals({}, cut=[model[2]]):
        model(X).sum().backward()
    assert model[0].weight.grad is None
    assert model[2].weight.grad is not None
    model(X).sum().backward()
    assert model[0].weight.grad is not None


def test_named_arguments_and_results_of_several_parts():
    class Layer(nn.Module):
        def forward(self, factor, *, x):
            return factor * x, "state"

    layer = Layer()
    with inner_signals({"in": Place(layer, "input"), "out": Place(layer)}, {"in": torch.ones(2, 3)}) as seen:
        y, _ = layer(2.0, x=X)
    assert torch.equal(seen["in"], X)
    assert torch.equal(y, torch.full((2, 3), 2.0))
    assert torch.equal(seen["out"], y)


def test_nothing_is_left_after_an_error():
    model = network()
    before = hooks(model)
    with pytest.raises(RuntimeError), inner_signals({0: Place(model[2], "input")}, {0: X}, cut=[model[0]]):
        model(torch.zeros(2, 99))
    assert hooks(model) == before
    with pytest.raises(ZeroDivisionError, match="True"), inner_signals({0: Place(model[2])}, cut=[model[0]]):
        raise ZeroDivisionError(str(hooks(model) != before))
    assert hooks(model) == before


def test_what_does_not_fit_is_refused():
    model = network()
    places = {"h": Place(model[1])}
    with pytest.raises(ArgumentError, match=r"'g' is no place; there are \['h'\]"), inner_signals(places, {"g": X}):
        pass
    message = r"'h' is to be replaced by \(2, 3\); it has \(2, 4\)"
    with pytest.raises(ArgumentError, match=message), inner_signals(places, {"h": X}):
        model(X)
    with pytest.raises(ArgumentError, match="called without a tensor"), inner_signals({0: Place(model, "input")}):
        model(input=None)
