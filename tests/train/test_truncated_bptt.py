"""Truncated back-propagation through time on text streams."""

from itertools import pairwise

import pytest
import torch

from fewbit.data import TextStreams
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM
from fewbit.train import CrossEntropy, TruncatedBPTT, fit


def test_pieces_give_the_outputs_of_the_whole() -> None:
    model = CharLM(5, 8, 2).eval()
    x = torch.randint(5, (3, 17))
    whole, _ = model(x)
    carried = TruncatedBPTT(model)
    for _ in range(2):
        pieces = [carried(piece) for piece in x.split((4, 1, 12), 1)]
        torch.testing.assert_close(torch.cat(pieces, 1), whole)
        carried.restart()


def test_the_same_batch_again_begins_where_it_began() -> None:
    carried = TruncatedBPTT(CharLM(5, 8, 1))
    first, second = torch.randint(5, (2, 2, 6))
    carried(first)
    assert torch.equal(carried(second), carried(second))


def test_no_gradient_reaches_an_earlier_batch() -> None:
    model = CharLM(5, 8, 1)
    carried = TruncatedBPTT(model)
    carried(torch.randint(5, (2, 6))).sum().backward()
    carried(torch.randint(5, (2, 6))).sum().backward()  # would raise: the graph before is freed


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
