"""Attention against torch: causal windows, masks, grouped heads, places of a frame, whole inputs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.program.ops import Step
from tests.program.made_by_hand import ONE, rescale, run, vector

STEP = 1 / 4096


def attend(heads, groups, width, places=0, window=0, seen=ONE, scale=None):
    """Of 16-bit codes of STEP, with the scale of torch."""
    scale = 1 / np.sqrt(width) if scale is None else scale
    factor = STEP**2 * scale / np.log(2) * 1024
    shift = int(15 - np.floor(np.log2(factor)))
    to_codes = rescale(1 << 15, 30, *INT16)  # from Q15 of a code to a code
    return ops.Attend("a", heads, groups, width, places, window, round(factor * 2**shift), shift, to_codes, seen)


def codes(rng, *shape):
    return np.clip(np.rint(rng.normal(0, 1.2, shape) / STEP), *INT16).astype(np.int64)


def wanted(q, k, v, heads, groups, mask):
    """Of ``(batch, places, heads * width)``."""
    q, k, v = (
        torch.from_numpy(part * STEP).unflatten(-1, (count, -1)).transpose(1, 2)
        for part, count in ((q, heads), (k, groups), (v, groups))
    )
    k, v = (part.repeat_interleave(heads // groups, 1) for part in (k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(mask))
    return y.transpose(1, 2).flatten(2).numpy()


@pytest.mark.parametrize(("heads", "groups"), [(1, 1), (4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("window", [1, 2, 7, 100])
def test_attention_over_a_window_of_frames_is_that_of_torch(heads, groups, window):
    rng, t, width = np.random.default_rng(window), 30, 8
    q, k, v = (codes(rng, t, width * count) for count in (heads, groups, groups))
    lag = np.arange(t)[:, None] - np.arange(t)
    found = run(attend(heads, groups, width, window=window), q, k, v) * STEP
    assert (
        np.abs(found - wanted(q[None], k[None], v[None], heads, groups, (lag >= 0) & (lag < window))[0]).max() < 1.5e-3
    )
    if window == 1:
        assert np.array_equal(
            found, np.repeat(v.reshape(t, groups, 1, width), heads // groups, 2).reshape(t, -1) * STEP
        )


def test_the_ring_holds_exactly_the_window():
    rng = np.random.default_rng(0)
    q, k, v = (codes(rng, 20, 3) for _ in range(3))
    op, state = attend(1, 1, 3, window=4), None
    state = op.start()
    for t in range(20):
        _, state = op.run([q[t : t + 1], k[t : t + 1], v[t : t + 1]], state, Step())
        assert np.array_equal(state[0], k[max(0, t - 2) : t + 1])
        assert np.array_equal(state[1], v[max(0, t - 2) : t + 1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("heads", "groups"), [(2, 2), (4, 2)])
def test_attention_over_the_places_of_a_frame_is_that_of_torch(masked, heads, groups):
    rng, frames, places, width = np.random.default_rng(3), 5, 6, 4
    q, k, v = (codes(rng, frames, places * width * count) for count in (heads, groups, groups))
    mask = np.tril(np.ones((places, places), bool)) if masked else np.ones((places, places), bool)
    seen = mask.astype(np.int64).ravel() if masked else ONE
    found = run(attend(heads, groups, width, places, seen=seen), q, k, v) * STEP
    apart = (part.reshape(frames, places, -1) for part in (q, k, v))
    assert np.abs(found - wanted(*apart, heads, groups, mask).reshape(frames, -1)).max() < 1.5e-3


def test_attention_over_a_whole_input_is_that_of_torch():
    rng, t = np.random.default_rng(4), 25
    q, k, v = codes(rng, t, 16), codes(rng, t, 8), codes(rng, t, 8)
    op = attend(4, 2, 4)
    assert op.whole
    found = run(op, q, k, v) * STEP
    assert np.abs(found - wanted(q[None], k[None], v[None], 4, 2, np.ones((t, t), bool))[0]).max() < 1.5e-3
    assert run(op, q[:0], k[:0], v[:0], check=False).shape == (0, 16)


def test_keys_of_a_group_are_for_neighbouring_heads():
    k = np.array([[1, 0, 0, 1]])  # two groups of two numbers
    v = np.array([[5, 6, -7, -8]])
    op = ops.Attend("a", 4, 2, 2, 0, 3, 1024, 0, rescale(1, 15), ONE)
    assert run(op, np.zeros((1, 8), np.int64), k, v).tolist() == [[5, 6, 5, 6, -7, -8, -7, -8]]


def test_the_largest_scores_do_not_overflow():
    width, low = 1 << 14, INT16[0]
    q, k = np.full((2, width), low), np.stack([np.full(width, low), np.full(width, INT16[1])])
    op = ops.Attend("a", 1, 1, width, 0, 2, 1 << 16, 62, rescale(2**31 - 1, 46, *INT16), vector(1))
    found = run(op, q, k, np.full((2, width), low))
    assert (found == INT16[0]).all()
    sharp = ops.Attend("a", 1, 1, width, 0, 2, 1 << 16, 0, rescale(1, 15), vector(1))
    v = np.stack([np.full(width, 3), np.full(width, 9)])
    assert run(sharp, q, k, v)[1].tolist() == [3] * width


def test_costs_are_those_of_the_keys():
    assert attend(4, 2, 8, window=10).macs() == 2 * 10 * 4 * 8
    assert attend(4, 2, 8, places=5).macs() == 2 * 25 * 4 * 8
