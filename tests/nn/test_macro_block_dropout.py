"""Macro-block dropout: blocks whole, the mean kept, nothing all zero, masks held for an utterance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fewbit as fb
from fewbit.errors import ArgumentError
from fewbit.nn import SRU, CausalConv1d, Chain, MacroBlockDropout, Normalize, hold_masks

RATES = st.floats(0.05, 0.9)


@settings(max_examples=60, deadline=None)
@given(
    p=RATES,
    blocks=st.integers(1, 9),
    extra=st.integers(0, 20),
    time=st.sampled_from(["constant", "frame", 1, 3]),
    seed=st.integers(0, 999),
)
def test_blocks_are_whole_and_of_like_size_and_never_all_dropped(p, blocks, extra, time, seed):
    torch.manual_seed(seed)
    features, frames = blocks + extra, 7
    layer = MacroBlockDropout(p, blocks, time)
    mask = layer.sample(torch.ones(40, frames, features))
    assert mask.shape == (40, 1 if time == "constant" else frames, features)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    block = torch.arange(features) * blocks // features
    sizes = torch.bincount(block)
    assert len(sizes) == blocks
    assert sizes.max() - sizes.min() <= 1
    for b in range(blocks):
        part = mask[..., block == b]
        assert torch.equal(part, part[..., :1].expand_as(part))
    assert (mask.amax(2) == 1).all() if time == "frame" else (mask.amax((1, 2)) == 1).all()
    if time == 3:
        rows = torch.arange(frames) * 3 // frames
        assert all(torch.equal(mask[:, t], mask[:, t - 1]) for t in range(1, frames) if rows[t] == rows[t - 1])


@pytest.mark.parametrize(("p", "blocks"), [(0.2, 5), (0.5, 2), (0.8, 3), (0.3, 1)])
@pytest.mark.parametrize("redraw", [True, False])
@pytest.mark.parametrize("time", ["constant", 2])
def test_the_mean_is_kept_and_the_spread_is_that_of_the_blocks(p, blocks, redraw, time):
    torch.manual_seed(0)
    layer, x = MacroBlockDropout(p, blocks, time, redraw=redraw), torch.ones(40_000, 2, 2 * blocks)
    cells = blocks * (2 if time == 2 else 1)
    mask = layer.sample(x)
    assert mask.mean().item() == pytest.approx(layer.mean(cells), abs=0.01)
    assert layer(x).mean(0) == pytest.approx(torch.ones(2, 2 * blocks).numpy(), abs=0.06 * p / (1 - p) + 0.01)
    if not redraw:
        spread = mask.mean((1, 2)).var().item()
        assert spread == pytest.approx(p * (1 - p) / cells, rel=0.05)


def test_redrawing_gives_the_distribution_under_its_condition():
    torch.manual_seed(0)
    p, blocks = 0.6, 3
    drawn = MacroBlockDropout(p, blocks).sample(torch.ones(60_000, 1, blocks))[:, 0]
    codes = (drawn @ torch.tensor([1.0, 2.0, 4.0])).long()
    for code, share in enumerate((torch.bincount(codes, minlength=8) / len(codes)).tolist()):
        ones = bin(code).count("1")
        wanted = 0 if code == 0 else (1 - p) ** ones * p ** (blocks - ones) / (1 - p**blocks)
        assert share == pytest.approx(wanted, abs=0.007)


def test_it_is_the_identity_outside_of_training_and_without_a_rate():
    x = torch.randn(2, 3, 10)
    layer = MacroBlockDropout(0.5)
    assert layer.eval()(x) is x
    assert layer.train()(x) is not x
    assert MacroBlockDropout(0.0)(x) is x
    assert layer(x[:, :0]).shape == (2, 0, 10)


def test_a_seed_repeats_it_and_examples_and_calls_differ():
    layer, x = MacroBlockDropout(0.5, 8), torch.ones(30, 4, 16)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    assert len(first[:, 0].unique(dim=0)) > 20
    assert torch.equal(first, first[:, :1].expand_as(first))
    mask = layer.sample(x)
    assert torch.equal(layer(x, mask), layer(x, mask))


def test_scales_follow_their_definitions():
    x = torch.tensor([[[1.0, -2.0, 3.0, 4.0]], [[1.0, -1.0, 5.0, 5.0]]], requires_grad=True)
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0])
    l1, total = MacroBlockDropout(0.5, 4, scale="l1"), MacroBlockDropout(0.5, 4, scale="sum")
    assert torch.allclose(l1(x, mask), x * mask * torch.tensor([10 / 7, 12 / 7])[:, None, None])
    assert torch.allclose(total(x, mask), x * mask * torch.tensor([6 / 3, 10 / 5])[:, None, None])
    nothing = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert torch.equal(total(x, nothing)[1], torch.zeros(1, 4)), "a sum of zero gives zero, not infinity"
    small = x.detach().clone()
    small[0, 0, 0] = 2.001
    assert total(small, nothing).abs().max() <= 4 * 3, "the factor is at most the number of blocks"
    (gradient,) = torch.autograd.grad(l1(x, mask).sum(), x)
    assert torch.allclose(gradient[:, 0], mask * torch.tensor([10 / 7, 12 / 7])[:, None]), "none flows through it"


def test_a_mask_is_held_for_an_utterance_over_chunks_and_behind_a_stride():
    torch.manual_seed(0)
    model = Chain(CausalConv1d(3, 16, 2, 2), MacroBlockDropout(0.5, 8), MacroBlockDropout(0.5, 8))
    numbers = torch.tensor([[0] * 10 + [3] * 6, [1] * 4 + [2] * 12])
    seen = []
    for layer in (model[1], model[2]):
        layer.register_forward_hook(lambda layer, given, y: seen.append(y != 0))
    x = torch.randn(2, 16, 3)
    hold_masks(model, numbers, seed=5)
    model(x)
    hold_masks(model, numbers[:, :6], seed=5)
    _, state = model(x[:, :6])
    hold_masks(model, numbers[:, 6:], seed=5)
    model(x[:, 6:], state)
    whole, pieces = seen[:2], [torch.cat(pair, 1) for pair in zip(seen[2:4], seen[4:6], strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(whole, pieces, strict=True))
    first = whole[0]
    for row, change in ((0, 5), (1, 2)):
        for part in (first[row, :change], first[row, change:]):
            assert torch.equal(part, part[:1].expand_as(part))
        assert not torch.equal(first[row, change - 1], first[row, change])
    assert not torch.equal(whole[0], whole[1]), "layers share a mask"
    hold_masks(model, None)
    assert model[1].held is None
    hold_masks(model, numbers[:, :5])
    with pytest.raises(ArgumentError, match=r"\(2, 5\), which does not fit an input of \(2, 8, 16\)"):
        model(x)


def test_nothing_of_it_is_left_in_a_program():
    torch.manual_seed(0)
    x = torch.randn(2, 20, 6)

    def packed(dropout):
        torch.manual_seed(1)
        model = Chain(Normalize(6), SRU(6, 10), dropout, SRU(10, 10), nn.Linear(10, 4))
        return fb.pack(fb.compress(model, fb.Quantize("ternary", "int8", calibration=[x])))

    with_it, without = packed(MacroBlockDropout(0.4)), packed(nn.Identity())
    assert len(with_it.ops) == len(without.ops)
    assert (with_it(x[0].numpy()) == without(x[0].numpy())).all()


def test_faults_are_said():
    for p in (-0.1, 1.0, float("nan")):
        with pytest.raises(ArgumentError, match=r"p must lie in \[0, 1\)"):
            MacroBlockDropout(p)
    with pytest.raises(ArgumentError, match="blocks must be 1 or more, not 0"):
        MacroBlockDropout(0.2, 0)
    with pytest.raises(ArgumentError, match="not 'never'"):
        MacroBlockDropout(0.2, time="never")
    with pytest.raises(ArgumentError, match="rate, l1, sum, not 'mean'"):
        MacroBlockDropout(0.2, scale="mean")
    with pytest.raises(ArgumentError, match="4 features cannot be cut into 5 blocks"):
        MacroBlockDropout(0.2)(torch.ones(1, 2, 4))
