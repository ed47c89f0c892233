"""All-attention: against loops over heads, queries and distances, its segments, and its sizes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fewbit as fb
from fewbit.errors import ArgumentError, LoweringError
from fewbit.models import AllAttentionLM
from fewbit.nn import AllAttention
from fewbit.nn.all_attention import shifted


def layer_of(width=6, heads=2, span=4, slots=3, **about) -> AllAttention:
    torch.manual_seed(1)
    layer = AllAttention(width, heads, span=span, slots=slots, **about).eval()
    with torch.no_grad():
        for parameter in layer.parameters():  # large enough that every term counts, biases too
            parameter.normal_()
    return layer


def by_loops(layer: AllAttention, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The equation for one row ``x: (time, width)``, one number after the other, with the given inputs before it."""
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    d, seen = layer.head_size, np.concatenate([before, x])
    y = np.tile(weights["output.bias"], (len(x), 1))
    for head in range(layer.heads):
        rows = slice(head * d, (head + 1) * d)
        q, k, v, r = (weights[f"{name}.weight"][rows] for name in ("query", "key", "value", "place"))
        for i in range(len(x)):
            asked = q @ x[i]
            scores, values = [], []
            for j in range(len(seen)):
                distance = len(before) + i - j
                if 0 <= distance <= layer.span:
                    near = (asked + weights["key_bias"][head, 0]) @ (k @ seen[j])
                    far = (asked + weights["place_bias"][head, 0]) @ (r @ weights["weight_distances"][distance])
                    scores.append((near + far) / math.sqrt(d))
                    values.append(v @ seen[j])
            for n in range(layer.slots):
                scores.append(asked @ weights["weight_slot_keys"][head, n])
                values.append(math.sqrt(layer.slots) * weights["weight_slot_values"][head, n])
            shares = np.exp(np.array(scores) - max(scores))
            y[i] += weights["output.weight"][:, rows] @ (shares / shares.sum() @ np.array(values))
    return y


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 6), st.integers(1, 5), st.sampled_from([1, 2, 3]), st.integers(0, 99))
def test_the_layer_is_its_equation(time, kept, span, heads, seed):
    layer = layer_of(heads=heads, span=span, head_size=4)
    random = np.random.default_rng(seed)
    x, before = random.normal(size=(time, 6)), random.normal(size=(min(kept, span), 6))
    state = torch.from_numpy(before)[None].float() if len(before) else None
    with torch.no_grad():
        y, after = layer(torch.from_numpy(x)[None].float(), state)
    wanted = by_loops(layer, x, before)
    np.testing.assert_allclose(y[0].numpy(), wanted, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(after[0].numpy(), np.concatenate([before, x])[-span:].astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9), st.integers(1, 7), st.data())
def test_shifted_scores_are_those_of_their_distance(queries, reach, data):
    before = data.draw(st.integers(0, reach - 1))
    by_distance = torch.randn(2, queries, reach)
    keys = before + queries
    found = shifted(by_distance, keys)
    assert found.shape == (2, queries, keys)
    for i in range(queries):
        for j in range(keys):
            distance = before + i - j
            wanted = by_distance[:, i, distance] if 0 <= distance < reach else torch.zeros(2)
            assert torch.equal(found[:, i, j], wanted)


def test_a_position_sees_its_span_and_no_further():
    layer, x = layer_of(span=3), torch.randn(1, 9, 6)
    with torch.no_grad():
        whole, _ = layer(x)
        changed = x.clone()
        changed[:, 2] += 1
        y, _ = layer(changed)
    differs = (y - whole).abs().amax(-1)[0] > 1e-6
    assert differs.tolist() == [False, False, True, True, True, True, False, False, False]


def test_no_gradient_goes_through_the_segment_before():
    layer, x = layer_of(), torch.randn(1, 9, 6, requires_grad=True)
    _, state = layer(x[:, :5])
    layer(x[:, 5:], state)[0].sum().backward()
    assert x.grad is not None
    assert (x.grad[:, :5] == 0).all()
    assert (x.grad[:, 5:] != 0).any()


def test_a_network_of_blocks_streams_like_one_pass_with_a_bounded_state():
    torch.manual_seed(0)
    model = AllAttentionLM(classes=7, width=8, heads=2, layers=3, span=5, slots=4, dropout=0.3).eval()
    tokens = torch.randint(0, 7, (2, 41))
    with torch.no_grad():
        whole, _ = model(tokens)
        state, parts = None, []
        for piece in tokens.split(5, 1):  # segments as long as the span, as in training
            scores, state = model(piece, state)
            parts.append(scores)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    assert [part.shape for part in state if part is not None] == [(2, 5, 8)] * 3


def test_dropout_acts_in_training_only():
    layer, x = layer_of(dropout=0.5), torch.randn(1, 9, 6)
    assert torch.equal(layer(x)[0], layer(x)[0])
    layer.train()
    assert not torch.equal(layer(x)[0], layer(x)[0])


def test_almost_all_weights_are_those_of_a_head():
    """5 d dh + 2 N dh, and two biases of dh, for each head of dh numbers at width d with N slots."""
    one, three = (AllAttention(12, heads, span=5, slots=7, head_size=4) for heads in (1, 3))
    count = [sum(parameter.numel() for parameter in layer.parameters()) for layer in (one, three)]
    assert count[1] - count[0] == 2 * (5 * 12 * 4 + 2 * 7 * 4 + 2 * 4)
    assert count[0] - (count[1] - count[0]) // 2 == 6 * 12 + 12  # the table of distances, and the last bias


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"heads": 4}, "width=6 is no multiple of heads=4; give head_size"),
        ({"span": 0}, "span=0, slots=3, head_size=None, depth=1; wanted 1 or more"),
        ({"head_size": 0}, "head_size=0, depth=1; wanted 1 or more"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), not 1.0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(about, message):
    with pytest.raises(ArgumentError, match=message):
        layer_of(**about)


def test_it_is_quantized_and_says_that_it_is_not_packed():
    model = AllAttentionLM(classes=7, width=8, heads=2, layers=1, span=5, slots=4).eval()
    tokens = torch.randint(0, 7, (2, 12))
    fb.calibrate(fb.attach(model, weights="ternary", activations="int8"), [tokens])
    assert len(model.block0.attention.weight_slot_keys.unique()) <= 3
    assert torch.isfinite(model(tokens)[0]).all()
    with pytest.raises(LoweringError, match=r"block0.attention.*no integer op is known for \w*AllAttention"):
        fb.pack(model, example=tokens)
