"""Truncated back-propagation through time on text streams."""

from functools import partial
from itertools import pairwise

import pytest
import torch

from fewbit.data import TextStreams
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM
from fewbit.quant import attach
from fewbit.train import CrossEntropy, SymmetricSGD, TruncatedBPTT, fit, one_update, trajectory
from fewbit.train.truncated_bptt import detached


def test_pieces_give_the_outputs_of_the_whole() -> None:
    model = CharLM(5, 8, 2).eval()
    x = torch.randint(5, (3, 17))
    whole, _ = model(x)
    carried = TruncatedBPTT(model)
    for _ in range(2):
        pieces = [carried(piece) for piece in x.split((4, 1, 12), 1)]
        torch.testing.assert_close(torch.cat(pieces, 1), whole)
        carried.restart()


def test_passes_of_one_update_begin_where_it_began_and_the_first_is_carried_on() -> None:
    model = CharLM(5, 8, 1)
    carried, alone = TruncatedBPTT(model), TruncatedBPTT(model)
    first, second, third = torch.randint(5, (3, 2, 6))
    carried(first), alone(first)
    with one_update():
        y = carried(second)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)
        assert not torch.equal(carried(second), y)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        assert torch.equal(carried(second), y)
    assert torch.equal(alone(second), y)
    assert torch.equal(carried(third), alone(third))


def test_the_same_batch_in_the_next_update_goes_on() -> None:
    """Nothing is told by the identity of a tensor: a list of one batch is a stream too."""
    model = CharLM(5, 8, 1)
    carried, x = TruncatedBPTT(model), torch.randint(5, (2, 6))
    states = []
    for _ in range(3):
        with one_update():
            states.append(carried(x))
    whole, _ = model(torch.cat([x, x, x], 1))
    torch.testing.assert_close(torch.cat(states, 1), whole)


def test_trajectories_have_states_of_their_own() -> None:
    model = CharLM(5, 8, 1)
    carried, one, other = TruncatedBPTT(model), TruncatedBPTT(model), TruncatedBPTT(model)
    for x in torch.randint(5, (4, 2, 6)):
        with one_update():
            assert torch.equal(carried(x), one(x))
            with trajectory("teacher"):
                assert torch.equal(carried(x + 0), other(x))
    carried.restart()
    with trajectory("teacher"):
        assert torch.equal(carried(x), model(x)[0])


def test_a_restart_counts_once_in_an_update() -> None:
    """A second pass over a batch that begins streams does not take the state from the first."""
    model = CharLM(5, 8, 1)
    carried, alone = TruncatedBPTT(model), TruncatedBPTT(model)
    first, second = torch.randint(5, (2, 2, 6))
    carried(first)
    with one_update():
        for factor in (1.0, 3.0):
            carried.restart()
            scale(model, factor)
            carried(first)
            scale(model, 1 / factor)
    alone(first)
    torch.testing.assert_close(carried(second), alone(second))


def scale(model: CharLM, factor: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)


class Recorded(TruncatedBPTT):
    """Keeps the outputs of the passes that carry the state on."""

    def __init__(self, model: CharLM) -> None:
        super().__init__(model)
        self.weights: list[list[torch.Tensor]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weights.append([parameter.detach().clone() for parameter in self.model.parameters()])
        return super().forward(x)


def test_the_state_of_symmetric_noise_comes_from_its_plus_point() -> None:
    torch.manual_seed(0)
    model = CharLM(5, 8, 1)
    carried = Recorded(model)
    batches = [(x, x) for x in torch.randint(5, (3, 2, 6))]
    fit(carried, batches, CrossEntropy(), epochs=1, lr=0.1, optimizer=partial(SymmetricSGD, alpha=0.5), progress=False)
    assert len(carried.weights) == 6
    state = None
    for (x, _), weights in zip(batches, carried.weights[::2], strict=True):  # the first of the two points
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), weights, strict=True):
                parameter.copy_(value)
            _, state = model(x, state)
    found = carried._tracks[""].after
    torch.testing.assert_close(found, detached(state))


def test_no_gradient_reaches_an_earlier_batch() -> None:
    model = CharLM(5, 8, 1)
    carried = TruncatedBPTT(model)
    first, second = torch.randint(5, (2, 2, 6))
    carried(first).sum().backward()
    model.zero_grad()
    carried(second).sum().backward()  # would raise if it reached the first: the graph before is freed
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_another_number_of_streams_is_refused() -> None:
    carried = TruncatedBPTT(CharLM(5, 8, 1))
    carried(torch.zeros(2, 6, dtype=torch.long))
    with pytest.raises(DataError, match="3 streams after 2"):
        carried(torch.zeros(3, 6, dtype=torch.long))


def test_streams_go_on_from_batch_to_batch_and_from_pass_to_pass() -> None:
    text = torch.arange(50)
    streams = TextStreams(text, streams=3, steps=4)
    seen = [[int(i) for i in row] for row in torch.cat([x for _ in range(5) for x, _ in streams], 1)]
    for row in seen:
        assert all((b - a) % 50 == 1 for a, b in pairwise(row))
    assert len(streams) == 4
    for inputs, targets in streams:
        assert torch.equal((inputs + 1) % 50, targets)


def test_too_little_text_is_refused() -> None:
    with pytest.raises(ArgumentError, match="10 characters"):
        TextStreams(torch.zeros(10), streams=2, steps=8)


def test_what_was_read_before_the_batch_helps() -> None:
    """Every mark comes twice, often in two batches: only a carried state can tell."""
    generator = torch.Generator().manual_seed(0)
    marks = torch.randint(1, 3, (400,), generator=generator)
    blank = torch.zeros_like(marks)
    text = torch.stack([marks, blank, blank, marks], 1).flatten()

    def loss(carried: bool) -> float:
        torch.manual_seed(0)
        model = CharLM(3, 16, 1)
        history = fit(
            TruncatedBPTT(model) if carried else model,
            TextStreams(text, streams=8, steps=5),
            CrossEntropy(),
            epochs=12,
            lr=0.02,
            optimizer=torch.optim.Adam,
            progress=False,
        )
        return history.losses[-1]

    assert loss(True) < 0.75 * loss(False)


class Counting(torch.nn.Module):
    """Counts its batches in its state, behind a weight with a step that freezes and a norm to measure anew."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        count = torch.zeros(len(x)) if state is None else state
        return self.norm(self.inner(x)), count + 1


def test_measuring_batch_statistics_anew_leaves_the_carried_state_alone() -> None:
    data = [(torch.randn(8, 3), torch.randint(3, (8,))) for _ in range(5)]
    carried = TruncatedBPTT(attach(Counting(), "ternary+adaptive"))
    fit(carried, data, CrossEntropy(), epochs=4, progress=False)
    assert carried._tracks[""].after.unique().tolist() == [4 * 5]
    assert carried._tracks["batch statistics"].after.unique().tolist() == [5]
