"""Gates on heads: their statistics, what they multiply, which stay open, and the cut."""

import math
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

import fewbit as fb
from fewbit.errors import ArgumentError, PruningError
from fewbit.models import Decoder
from fewbit.prune import (
    Gates,
    Group,
    add_gates,
    drop_gates,
    gates_on,
    held_gates,
    masked,
    open_gates,
    remove,
    structure_of,
)
from tests.prune.test_heads import NETWORKS, TOKENS, _leaves

MANY = 100_000


def gates_of(openness: list[float], **about) -> Gates:
    made = Gates("g", torch.arange(len(openness)), torch.arange(len(openness)), **about)
    made.openness.data.copy_(torch.tensor(openness))
    return made


def named(*openness: list[float]) -> dict[str, Gates]:
    return {name: gates_of(each) for name, each in zip("abc", openness, strict=False)}


@pytest.mark.parametrize("a", [-2.0, -0.5, 0.0, 1.0, 2.0])
def test_a_gate_is_open_with_the_probability_of_its_openness(a):
    torch.manual_seed(0)
    gates = gates_of([a] * MANY, scaled=False)
    values = gates.values()
    assert set(values.tolist()) == {0.0, 1.0}
    assert float(values.detach().mean()) == pytest.approx(1 / (1 + math.exp(-a)), abs=0.01)
    assert set(gates.eval().values().tolist()) == {float(a >= 0)}


def test_soft_gates_are_at_their_ends_as_often_as_published():
    """At openness 2 a gate is 1 in 77 % of the draws and 0 in 6 %, where the loss gives it no gradient."""
    torch.manual_seed(0)
    gates = gates_of([2.0] * MANY, scaled=False)
    torch.manual_seed(1)
    values = gates.values()
    values.sum().backward()
    learned = gates.openness.grad != 0
    assert float((~learned & (values == 1)).double().mean()) == pytest.approx(0.77, abs=0.01)
    assert float((~learned & (values == 0)).double().mean()) == pytest.approx(0.06, abs=0.01)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=6), st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_gradient_is_that_of_the_soft_gate(openness, seed, training):
    gates = gates_of(openness, scaled=False).train(training)
    torch.manual_seed(seed)
    values = gates.values()
    assert set(values.tolist()) <= {0.0, 1.0}
    values.sum().backward()
    torch.manual_seed(seed)
    draw = torch.rand(len(openness)).double().clamp(1e-6, 1 - 1e-6)
    a = torch.tensor(openness, requires_grad=True)
    soft = torch.sigmoid((torch.log(draw / (1 - draw)) + a) / 0.333) if training else torch.sigmoid(a)
    torch.clamp(soft * 1.2 - 0.1, 1e-6, 1).sum().backward()
    torch.testing.assert_close(gates.openness.grad, a.grad, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("a", [-3.0, -1.0, 0.0, 2.0, 4.0])
def test_the_penalty_is_the_chance_that_a_soft_gate_is_not_0(a):
    torch.manual_seed(0)
    draw = torch.rand(MANY)
    soft = torch.sigmoid((torch.log(draw / (1 - draw)) + a) / 0.333) * 1.2 - 0.1
    gates = gates_of([a])
    gates.penalty().backward()
    assert float(gates.penalty().detach()) == pytest.approx(float((soft > 0).double().mean()), abs=0.005)
    step = 1e-2
    low, high = (float(gates_of([a + side]).penalty().detach()) for side in (-step, step))
    slope = (high - low) / (2 * step)
    assert float(gates.openness.grad) == pytest.approx(slope, rel=1e-2, abs=1e-4)


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_open_gates_stand_in_for_closed_ones(is_open):
    gates = gates_of([1.0 if each else -1.0 for each in is_open]).eval()
    total = sum(is_open)
    assert gates.values().tolist() == pytest.approx([len(is_open) / total if each else 0.0 for each in is_open])


@given(
    st.lists(st.lists(st.floats(-3, 3), min_size=1, max_size=5), min_size=1, max_size=3),
    st.integers(0, 2),
    st.data(),
)
def test_as_many_gates_are_open_as_wanted_and_the_best_of_them(openness, least, data):
    gates = named(*openness)
    fewest = sum(min(least, len(each)) for each in openness)
    target = data.draw(st.integers(fewest, sum(map(len, openness))))
    found = open_gates(gates, target, least)
    assert sum(int(mask.sum()) for mask in found.values()) == target
    assert all(int(mask.sum()) >= min(least, len(mask)) for mask in found.values())
    closed = [a for name, mask in found.items() for a in gates[name].openness[~mask].tolist()]
    for name, mask in found.items():
        mine = gates[name].openness.detach()
        assert not closed or all(a >= max(closed) for a in mine[mask].sort(descending=True).values[least:].tolist())
        assert mask.all() or (not mask.any()) or float(mine[mask].min()) >= float(mine[~mask].max())
    free = open_gates(gates, least=0)
    assert all(torch.equal(mask, gates[name].openness >= 0) for name, mask in free.items())


@pytest.mark.parametrize("target", [1, 6])
def test_targets_that_cannot_be_met_are_refused(target):
    with pytest.raises(ArgumentError, match=f"{target} gates cannot stay open: there are 5, and at least"):
        open_gates(named([1.0] * 3, [1.0] * 2), target)


def gated(name: str, scaled: bool) -> tuple[nn.Module, torch.Tensor]:
    """A network with gates on all heads, and its input."""
    build, x = NETWORKS[name]
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    groups = [group for group in structure_of(model, x).groups.values() if group.elements.kind == "heads"]
    add_gates(model, groups, scaled=scaled)
    return model, x


PATTERNS = [("0123", "0123"), ("02", "0123"), ("1", "3"), ("013", ""), ("", "")]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_closed_gates_are_pruned_heads(name, pattern):
    """Before the cut and after it, with the scale of open heads in the weight that reads them."""
    model, x = gated(name, scaled=True)
    gates = gates_on(model)
    for each, kept in zip(gates.values(), pattern, strict=True):
        each.openness.data.copy_(torch.tensor([2.0 if str(head) in kept else -2.0 for head in range(4)]))
    with torch.no_grad():
        wanted = _leaves(model(x))[0]
        plain = drop_gates(deepcopy(model), open_gates(gates, least=0))
    assert [int(mask.sum()) for mask in plain.values()] == [len(kept) for kept in pattern]
    masks = drop_gates(model, open_gates(gates, least=0))
    assert not gates_on(model)
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
    with torch.no_grad():
        torch.testing.assert_close(_leaves(model(x))[0], wanted, atol=1e-5, rtol=1e-4)
        small = remove(model, masks, x)
        torch.testing.assert_close(_leaves(small(x))[0], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_scale_a_closed_gate_is_a_mask(name):
    model, x = gated(name, scaled=False)
    gates = gates_on(model)
    is_open = {group: torch.arange(4) % 2 == i % 2 for i, group in enumerate(gates)}
    with held_gates(gates, is_open), torch.no_grad():
        found = _leaves(model(x))[0]
    drop_gates(model, {group: torch.ones(4, dtype=torch.bool) for group in gates})
    with torch.no_grad(), masked(model, structure_of(model, x).elements, is_open):
        torch.testing.assert_close(found, _leaves(model(x))[0], atol=1e-5, rtol=1e-4)


def test_a_head_is_left_out_for_the_whole_batch_and_drawn_anew_for_the_next():
    model, x = gated("gpt", scaled=False)
    model.train()
    with torch.no_grad():
        seen = [model(x[:1].expand(5, -1)) for _ in range(20)]
    assert all(torch.allclose(y, y[:1].expand_as(y), atol=1e-6) for y in seen)
    assert any(not torch.allclose(y, seen[0], atol=1e-4) for y in seen)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(x), model(x))


def test_slices_of_a_feed_forward_part_have_a_gate_each():
    torch.manual_seed(0)
    model, x = Decoder(9, 16, 4, 1, style="llama", ff=10).eval(), TOKENS
    group = structure_of(model, x).groups["blocks.0.feed.gate"]
    gates = add_gates(model, [group], slices=4)["blocks.0.feed.gate"]
    assert gates.of_element.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    gates.openness.data.copy_(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    with torch.no_grad():
        wanted = model(x)
        small = remove(model, drop_gates(model), x)
        torch.testing.assert_close(small(x), wanted, atol=1e-5, rtol=1e-4)
    assert small.blocks[0].feed.down.in_features == 8


def test_gates_are_saved_and_loaded_and_old_weights_fit():
    model, x = gated("gpt", scaled=True)
    again, _ = gated("gpt", scaled=True)
    for each in gates_on(model).values():
        each.openness.data.normal_()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
        assert torch.equal(deepcopy(model)(x), model(x))


def first_heads(model: nn.Module, x: torch.Tensor) -> Group:
    return structure_of(model, x).groups["blocks.0.attention"]


def test_what_cannot_have_gates_is_refused():
    model, x = gated("gpt", scaled=True)
    with pytest.raises(PruningError, match=r"blocks.0.attention.output.weight has gates or a quantizer already"):
        add_gates(model, [first_heads(model, x)])
    fresh = NETWORKS["gpt"][0]()
    with pytest.raises(ArgumentError, match=r"blocks.0.attention: 5 slices of 4 heads; wanted 1 to 4"):
        add_gates(fresh, [first_heads(fresh, x)], slices=5)
    quantized = fb.attach(fresh, weights="ternary")
    with pytest.raises(PruningError, match="learn heads first, then quantize"):
        add_gates(quantized, [first_heads(quantized, x)])
    shared = nn.ModuleDict({"a": nn.Linear(4, 6), "b": nn.Linear(6, 2), "c": nn.Linear(6, 2)})
    shared.forward = lambda x: shared["b"](shared["a"](x)) + shared["c"](shared["a"](x))
    group = structure_of(shared, torch.zeros(1, 4)).groups["a"]
    with pytest.raises(PruningError, match=r"a: its channels are read by \['b.weight', 'c.weight'\]; gates need one"):
        add_gates(shared, [group])
