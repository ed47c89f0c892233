"""Online CTC against enumeration, autograd and torch; every frame exactly once; native equals the plain recursions."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fewbit.errors import ArgumentError, TargetError
from fewbit.native import online_ctc as native
from fewbit.train import OnlineCTC, Part
from fewbit.train.online_ctc import _native, recursions

CLASSES = 4


class SpokenUtterance(NamedTuple):
    stream: int
    start: int
    stop: int
    labels: tuple[int, ...]

    def shortest(self, forced):
        """Frames that its labels take at least."""
        return len(self.labels) + sum(a == b for a, b in itertools.pairwise(self.labels)) + forced


def run(objective, logits, said, em=True):
    """All steps with the same logits: the sum of errors, how often each frame had one, all losses."""
    streams, frames, _ = logits.shape
    alphas = objective.start(streams, max((len(s.labels) for s in said), default=0))
    errors, times, losses = torch.zeros_like(logits), torch.zeros(streams, frames), []
    for stop in range(objective.step, frames + 1, objective.step):
        start = max(0, stop - objective.window)
        parts = [
            Part(
                s.stream,
                max(s.start, start) - start,
                min(s.stop, stop) - start,
                start <= s.start,
                s.stop <= stop,
                s.labels,
            )
            for s in said
            if s.start < stop and s.stop > start
        ]
        found = objective(logits[:, start:stop], parts, alphas, em=em)
        alphas = found.alphas
        errors[:, start:stop] += found.errors
        times[:, start:stop] += (found.errors != 0).any(2)
        losses += found.losses.tolist()
    return errors, times, losses


@st.composite
def streams_of_utterances(draw, frames):
    """One to three streams cut into utterances and gaps, as far as they fit."""
    said = []
    for stream in range(draw(st.integers(1, 3))):
        end = 0
        while end < frames:
            start = end + draw(st.sampled_from([0, 0, 0, 1, 4]))
            end = start + draw(st.one_of(st.integers(1, 6), st.integers(1, 40)))
            said.append(
                SpokenUtterance(stream, start, end, tuple(draw(st.lists(st.integers(1, CLASSES - 1), max_size=5))))
            )
    return said


def probability(y, symbols, forced):
    """alpha in plain products, through which autograd sees; one row for each frame."""
    states = [0, *itertools.chain.from_iterable((label, 0) for label in symbols)]
    rows = []
    for t, frame in enumerate(y):
        row = []
        for u, symbol in enumerate(states):
            if t == 0:
                before = 1.0 if u == 0 or (u == 1 and not forced) else 0.0
            else:
                before = sum(rows[-1][max(u - 1, 0) : u + 1])
                if u > 1 and symbol != 0 and symbol != states[u - 2]:
                    before = before + rows[-1][u - 2]
            row.append(before * frame[symbol])
        rows.append(row)
    return rows


def by_enumeration(y, labels, forced, prefixes):
    """The probability of `labels`, or of any of its prefixes, summed over all paths."""
    total = torch.zeros((), dtype=y.dtype)
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        heard = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != 0)
        if forced and path[0] != 0:
            continue
        if heard == labels or (prefixes and heard == labels[: len(heard)]):
            total = total + torch.stack([y[t, symbol] for t, symbol in enumerate(path)]).prod()
    return total


@pytest.mark.parametrize("labels", [(), (1,), (1, 2), (1, 1), (2, 1, 2)])
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_errors_are_the_gradients_of_enumerated_probabilities(labels, forced, ends):
    torch.manual_seed(0)
    logits = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    said = [SpokenUtterance(0, 0, 6 if ends else 9, labels)]
    objective = OnlineCTC(window=4, step=2, force_blank_first=forced)
    _, _, losses = run(objective, logits, said)
    if ends:
        # The last two steps hold frames 2..5; the first two had theirs from EM at the fourth frame.
        total = by_enumeration(logits[0].softmax(1), labels, forced, prefixes=False)
        wanted = torch.autograd.grad(-total.log(), logits)[0][0, 2:]
        assert losses == pytest.approx([-total.log().item()])
        assert torch.allclose(run(objective, logits, said)[0][0, 2:], wanted, atol=1e-9)
    early = by_enumeration(logits[0, :4].softmax(1), labels, forced, prefixes=True)
    wanted = torch.autograd.grad(-early.log(), logits)[0][0, :2]
    assert torch.allclose(run(objective, logits, said)[0][0, :2], wanted, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    step=st.integers(1, 6),
    more=st.integers(0, 5),
    length=st.integers(1, 24),
    labels=st.lists(st.integers(1, 3), max_size=6),
    forced=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_em_errors_are_gradients_of_ln_sum_alpha_with_the_look_ahead_held(step, more, length, labels, forced, seed):
    torch.manual_seed(seed)
    window = 2 * step + more
    frames = -(-length // step) * step
    logits = torch.randn(1, frames, CLASSES, dtype=torch.float64)
    found, _, _ = run(OnlineCTC(window, step, forced), logits, [SpokenUtterance(0, 0, frames + 1, tuple(labels))])
    wanted = torch.zeros_like(found)
    for tau in range(step, frames + 1, step):
        oldest = slice(max(0, tau - window), max(0, tau - window + step))
        seen = logits[0, :tau].clone().requires_grad_()
        held = torch.cat([seen[: oldest.stop], seen[oldest.stop :].detach()])
        total = sum(probability(held.softmax(1), labels, forced)[-1])
        if oldest.stop > oldest.start:
            wanted[0, oldest] = torch.autograd.grad(-total.log(), seen)[0][oldest]
    assert torch.allclose(found, wanted, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(labels=st.lists(st.integers(1, 3), max_size=8), spare=st.integers(0, 9), seed=st.integers(0, 9999))
def test_an_utterance_in_one_window_is_the_ctc_of_torch(labels, spare, seed):
    torch.manual_seed(seed)
    said = SpokenUtterance(0, 0, 1, tuple(labels))
    said = said._replace(stop=max(1, said.shortest(False) + spare))
    logits = torch.randn(1, said.stop, CLASSES, dtype=torch.float64, requires_grad=True)
    objective = OnlineCTC(2 * said.stop, said.stop, force_blank_first=False)
    errors, _, losses = run(objective, logits.detach(), [said])
    log_y = logits[0].log_softmax(1)[:, None]
    target, lengths = torch.tensor([labels], dtype=torch.long), torch.tensor([said.stop])
    loss = functional.ctc_loss(log_y, target, lengths, torch.tensor([len(labels)]), reduction="sum")
    assert losses == pytest.approx([loss.item()])
    assert torch.allclose(errors, torch.autograd.grad(loss, logits)[0], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), step=st.integers(1, 9), more=st.sampled_from([0, 0, 1, 5]), forced=st.booleans())
def test_every_frame_has_its_error_in_exactly_one_step(data, step, more, forced):
    window = 2 * step + more
    said = data.draw(streams_of_utterances(60))
    # Long enough for all to end and their last frames to leave the window; there is nothing outside utterances.
    frames = -(-(max(s.stop for s in said) + window) // step) * step
    torch.manual_seed(0)
    logits = torch.randn(1 + max(s.stream for s in said), frames, CLASSES)
    _, times, losses = run(OnlineCTC(window, step, forced), logits, said)
    wanted = torch.zeros_like(times)
    for s in said:
        wanted[s.stream, s.start : s.stop] = 1
    possible = [s.stop - s.start >= s.shortest(forced) for s in said]
    for s, fits in zip(said, possible, strict=True):
        if fits:
            assert torch.equal(times[s.stream, s.start : s.stop], wanted[s.stream, s.start : s.stop]), s
        else:  # what EM gave before nobody could know better
            assert times[s.stream, s.start : s.stop].max() <= 1
    assert times[wanted == 0].sum() == 0, "an error outside of utterances"
    assert sum(np.isfinite(losses)) == sum(possible)
    assert len(losses) == len(said)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), step=st.integers(1, 9), forced=st.booleans(), em=st.booleans(), size=st.sampled_from([1, 30]))
@pytest.mark.skipif(not native.is_available(), reason="the native library is missing, or has no online CTC")
def test_native_equals_the_plain_recursions_and_streams_are_independent(data, step, forced, em, size):
    said = data.draw(streams_of_utterances(40))
    torch.manual_seed(1)
    logits = size * torch.randn(1 + max(s.stream for s in said), 48 // step * step, CLASSES)
    objective = OnlineCTC(2 * step, step, forced)
    errors, _, losses = run(objective, logits, said, em)
    plain, _, plain_losses = run(objective, logits.double(), said, em)
    assert torch.allclose(errors, plain.float(), atol=1e-5)
    assert losses == pytest.approx(plain_losses, rel=1e-9, abs=1e-6)
    for stream in range(len(logits)):
        alone = [s._replace(stream=0) for s in said if s.stream == stream]
        assert torch.equal(run(objective, logits[stream : stream + 1], alone, em)[0][0], errors[stream])


@pytest.mark.parametrize(
    "compute",
    [
        recursions,
        pytest.param(_native, marks=pytest.mark.skipif(not native.is_available(), reason="no native library")),
    ],
)
def test_what_a_long_utterance_still_has_to_say_does_not_vanish(compute):
    # 80 labels, each with a probability of e**-20 until the last frames, are far below the smallest double.
    labels = tuple([1, 2] * 40)
    logits = torch.full((1, 200, 3), -20.0)
    logits[..., 0] = 0.0
    jobs = np.array([[0, 0, 200, 1, 1, 200, -1, 0, 80]])
    before = torch.full((1, 161), -torch.inf, dtype=torch.float64)
    errors, _, scores = compute(logits, jobs, np.array(labels), before, True)
    assert -2000 < scores.item() < -1000
    assert torch.isfinite(errors).all()
    assert errors.sum(2).abs().max() < 1e-5
    assert errors[0, :, 0].sum().item() == pytest.approx(80, abs=1e-2), "80 of the 200 frames must say a label"


def test_faults_are_said(monkeypatch):
    with pytest.raises(ArgumentError, match="window=8, step=5; wanted step from 1 and window from 2"):
        OnlineCTC(8, 5)
    with pytest.raises(ArgumentError, match="step=-1"):
        OnlineCTC(8, -1)
    with pytest.raises(ArgumentError, match="reduction is 'mean' or 'sum', not 'none'"):
        OnlineCTC(reduction="none")
    objective, logits = OnlineCTC(8), torch.randn(1, 8, 3)
    for part in (
        Part(1, 0, 4, True, True, (1,)),
        Part(0, 4, 4, True, True, (1,)),
        Part(0, 2, 8, False, True, (1,)),
        Part(0, 2, 7, True, False, (1,)),
        Part(0, 0, 9, True, True, (1,)),
        Part(0, 0, 8, True, True, (1, 2)),
    ):
        with pytest.raises(ArgumentError, match="does not fit a window of 1 streams, 8 frames and 3 states"):
            objective(logits, [part], objective.start(1, 1))
    for label in (0, 3):
        with pytest.raises(ArgumentError, match=r"labels must lie in 1\.\.2"):
            objective(logits, [Part(0, 0, 8, True, True, (label,))], objective.start(1, 1))
    monkeypatch.setattr(native, "_function", lambda: None)
    monkeypatch.setattr(native, "library", lambda: None)
    with pytest.raises(TargetError, match="lacks online CTC"):
        native.online_ctc(logits.numpy(), np.zeros((0, 9), np.int64), np.zeros(0, np.int64), np.zeros((1, 1)), True)
