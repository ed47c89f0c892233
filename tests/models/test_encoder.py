"""Encoders: every position sees all others but padding; one result for each position or for all."""

import pytest
import torch

import fewbit as fb
from fewbit.distill import TeacherIntervention
from fewbit.errors import ArgumentError, DataError
from fewbit.models import Encoder

TOKENS = torch.randint(0, 20, (4, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.arange(12) < torch.tensor([12, 5, 8, 1])[:, None]


def encoder(seed=1, **arguments) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(arguments.pop("inputs", 20), 3, 16, 4, 2, **{"context": 16} | arguments).eval()


LLAMA = {"style": "llama", "context": None, "key_heads": 2}


@pytest.mark.parametrize("arguments", [{}, LLAMA, {"symbols": False, "inputs": 6}])
def test_every_position_sees_all_others(arguments):
    model = encoder(**arguments)
    x = TOKENS if arguments.get("symbols", True) else torch.randn(4, 12, 6)
    other = x.clone()
    other[:, 11] = x[:, 10] + 1 if x.is_floating_point() else (x[:, 11] + 1) % 20
    assert model(x).shape == (4, 12, 3)
    assert not torch.isclose(model(x), model(other), atol=1e-6).all(-1).any()


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("arguments", [{}, LLAMA])
def test_padding_changes_nothing(arguments, pooled):
    model = encoder(pooled=pooled, **arguments)
    y = model(TOKENS, MASK)
    for row, (tokens, length) in enumerate(zip(TOKENS, MASK.sum(1).tolist(), strict=True)):
        alone = model(tokens[None, :length])[0]
        assert torch.allclose(y[row] if pooled else y[row, :length], alone, atol=1e-6)


def test_the_order_counts_where_there_are_positions():
    for arguments, counts in (({}, True), (LLAMA, True), ({"context": None}, False)):
        model = encoder(pooled=True, **arguments)
        assert torch.allclose(model(TOKENS), model(TOKENS.flip(1)), atol=1e-6) != counts


def test_it_learns_from_a_teacher_on_padded_batches():
    teacher, student = encoder(pooled=True), encoder(pooled=True, seed=2)
    labels = torch.tensor([0, 1, 2, 0])
    batches = [{"x": TOKENS, "mask": MASK, "labels": labels}] * 40
    fb.fit(student, batches, TeacherIntervention(teacher, share=0.2), epochs=1, lr=1e-2, progress=False)
    fresh = encoder(pooled=True, seed=2)
    loss = TeacherIntervention(teacher, share=0.0)
    after, before = (loss(model.eval(), batches[0], 0.0) for model in (student, fresh))
    assert after < 0.7 * before


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="12 positions, and 8 have been learned; cut the input"):
        encoder(context=8)(TOKENS)
    with pytest.raises(ArgumentError, match="context=8 with rotary positions, which have no table; leave it out"):
        encoder(style="llama", context=8)
