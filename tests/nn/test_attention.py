"""Attention: against torch's own, its signals, its sizes, and what may not influence what."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fewbit.errors import ArgumentError
from fewbit.nn import Attention
from fewbit.nn.attention import rotated

X = torch.randn(3, 12, 16, generator=torch.Generator().manual_seed(0))


def attention(**arguments) -> Attention:
    torch.manual_seed(1)
    return Attention(16, arguments.pop("heads", 4), **arguments)


def by_torch(layer: Attention, x: torch.Tensor, seen: torch.Tensor | None, turn=lambda x: x) -> torch.Tensor:
    """The same by the fused function of torch, which shares keys among heads in a way of its own."""
    q = layer.query(x).view(*x.shape[:2], layer.heads, layer.head_size).transpose(1, 2)
    k, v = (
        part(x).view(*x.shape[:2], layer.key_heads, layer.head_size).transpose(1, 2)
        for part in (layer.key, layer.value)
    )
    y = functional.scaled_dot_product_attention(turn(q), turn(k), v, attn_mask=seen, enable_gqa=True)
    return layer.output(y.transpose(1, 2).reshape(*x.shape[:2], -1))


def turned(x: torch.Tensor) -> torch.Tensor:
    """Pairs of numbers as complex ones, times a unit number of their position."""
    half = x.shape[-1] // 2
    speed = torch.tensor([10000.0 ** (-i / half) for i in range(half)])
    unit = torch.polar(torch.ones(x.shape[-2], half), torch.outer(torch.arange(x.shape[-2]).float(), speed))
    y = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous()) * unit
    return torch.cat([y.real, y.imag], -1)


LOWER = torch.ones(12, 12, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ({}, LOWER),
        ({"causal": False}, None),
        ({"window": 1}, torch.eye(12, dtype=torch.bool)),
        ({"window": 5}, torch.tensor([[0 <= query - key < 5 for key in range(12)] for query in range(12)])),
        ({"window": 40}, LOWER),
        ({"key_heads": 2, "bias": True}, LOWER),
        ({"key_heads": 1, "head_size": 3}, LOWER),
        ({"heads": 3, "head_size": 5}, LOWER),
    ],
)
def test_it_equals_the_fused_function(arguments, seen):
    layer = attention(**arguments)
    assert torch.allclose(layer(X), by_torch(layer, X, seen), atol=1e-6)


def test_rotary_positions_are_turns_of_pairs():
    layer = attention(rotary=True, key_heads=2)
    assert torch.allclose(layer(X), by_torch(layer, X, LOWER, turned), atol=1e-5)
    assert not torch.allclose(layer(X), by_torch(layer, X, LOWER), atol=1e-2)


def test_the_base_says_how_slow_the_slowest_pair_turns():
    slow = torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 0]).expand(101, 8)
    for base in (50.0, 1e5):
        assert torch.allclose(rotated(slow, base)[100, 3], torch.cos(torch.tensor(100 * base**-0.75)), atol=1e-4)
    layer, other = attention(rotary=True), attention(rotary=True, rotary_base=50.0)
    other.load_state_dict(layer.state_dict())
    assert not torch.allclose(layer(X), other(X), atol=1e-2)


def test_rotary_positions_are_relative():
    """What lies as far back counts as much, wherever it stands."""
    layer = attention(rotary=True, window=4)
    moved = torch.cat([torch.randn(3, 5, 16), X], 1)
    assert torch.allclose(layer(moved)[:, 5 + 3 :], layer(X)[:, 3:], atol=1e-5)


@pytest.mark.parametrize(("window", "first"), [(None, 6), (3, 6)])
def test_only_what_it_sees_has_a_gradient(window, first):
    layer, x = attention(window=window), X.clone().requires_grad_()
    layer(x)[:, first].sum().backward()
    seen = (x.grad.abs().sum((0, 2)) > 0).tolist()
    begins = 0 if window is None else first - window + 1
    assert seen == [begins <= place <= first for place in range(12)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("in_front", [True, False])
def test_padding_is_seen_by_nobody(causal, in_front):
    layer = attention(causal=causal)
    mask = torch.ones(3, 12, dtype=torch.bool)
    real = slice(4, None) if in_front else slice(None, 8)
    mask[1] = False
    mask[1, real] = True
    y = layer(X, mask)
    assert torch.isfinite(y).all()
    assert torch.allclose(y[1, real], layer(X[1:2, real])[0], atol=1e-6)
    assert torch.allclose(y[0], layer(X)[0], atol=1e-6)


def test_inner_signals_are_seen_and_can_be_replaced():
    layer = attention()
    seen = {}
    hooks = [
        part.register_forward_hook(lambda part, _, output: seen.update({part: output}))
        for part in (layer.scores, layer.map, layer.context)
    ]
    y = layer(X)
    for hook in hooks:
        hook.remove()
    scores, shares, context = (seen[part] for part in (layer.scores, layer.map, layer.context))
    assert torch.equal(shares, scores.softmax(-1))
    assert (shares[..., ~LOWER] == 0).all()
    value = layer.value(X).view(3, 12, 4, 4).transpose(1, 2)
    assert torch.allclose(context, (shares @ value).transpose(1, 2).reshape(3, 12, 16), atol=1e-6)
    assert torch.equal(layer.output(context), y)
    hook = layer.map.register_forward_hook(lambda *_: torch.eye(12).expand(3, 4, 12, 12))
    assert torch.allclose(layer(X), layer.output(layer.value(X)), atol=1e-6)
    hook.remove()
    assert torch.equal(layer(X), y)


def test_scores_are_float32_in_a_network_of_half_precision():
    layer = attention().bfloat16()
    seen = []
    layer.map.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].dtype))
    assert layer(X.bfloat16()).dtype == torch.bfloat16
    assert seen == [torch.float32]


@pytest.mark.parametrize("kept", [[0, 2, 3], [1], []])
def test_heads_can_be_pruned_away(kept):
    """Narrow linear layers and a smaller count give what the whole layer gives without these heads."""
    whole, narrow = attention(bias=True), attention(bias=True)
    rows = [4 * head + i for head in kept for i in range(4)]
    for part, name in ((narrow.query, "query"), (narrow.key, "key"), (narrow.value, "value")):
        full = getattr(whole, name)
        part.weight, part.bias = nn.Parameter(full.weight[rows]), nn.Parameter(full.bias[rows])
    narrow.output.weight = nn.Parameter(whole.output.weight[:, rows])
    narrow.heads = narrow.key_heads = len(kept)
    without = torch.zeros(16)
    without[rows] = 1.0
    whole.context.register_forward_hook(lambda _, __, output: output * without)
    assert torch.allclose(narrow(X), whole(X), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": 4, "key_heads": 3}, "heads=4, key_heads=3; wanted a multiple of key_heads"),
        ({"heads": 3}, "width=16 is no multiple of heads=3; give head_size"),
        ({"heads": 2, "head_size": 5, "rotary": True}, "head_size=5, wanted at least 1, and even for rotary positions"),
        ({"window": 0}, "window=0, causal=True; wanted at least 1, in causal attention"),
        ({"window": 3, "causal": False}, "window=3, causal=False; wanted at least 1, in causal attention"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        attention(**arguments)
