"""Rules of what moves numbers, on tiny networks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError
from tests.lower.tiny_networks import NO_SHRINKING, By, check, frames, quantized

MOVES: list[Callable[[Tensor], Tensor]] = [
    lambda y: y.flip(-1),
    lambda y: y.roll(3, -1),
    lambda y: y[..., 1::2],
    lambda y: y[..., 3:4].squeeze(-1),
    lambda y: y.unflatten(-1, (2, 4)).transpose(-1, -2),
    lambda y: y.unflatten(-1, (2, 2, 2)).permute(0, 1, 4, 2, 3).flatten(2),
    lambda y: -y.transpose(1, 2),
    lambda y: torch.stack([y, -y], 2),
    lambda y: torch.stack(y.chunk(2, -1), -1),
    lambda y: torch.cat(y.split([1, 2, 5], -1)[::-1], -1),
    lambda y: y.unbind(-1)[3],
    lambda y: y.repeat_interleave(2, -1),
    lambda y: y.repeat(1, 1, 2),
    lambda y: functional.pad(y, (1, 2)),
    lambda y: functional.pad(y, (-1, 1)),
    lambda y: y.narrow(-1, 2, 3).movedim(1, 2).mT,
    lambda y: y.unsqueeze(2).expand(-1, -1, 3, -1).flatten(2),
    lambda y: functional.channel_shuffle(y.transpose(1, 2)[..., None], 2).squeeze(-1),
    lambda y: functional.interpolate(y, scale_factor=2),
    lambda y: functional.interpolate(y, size=11),
    lambda y: functional.interpolate(y.unflatten(-1, (2, 4)), scale_factor=(2, 3)).flatten(2),
    lambda y: functional.pad(y, (3, 2), mode="reflect"),
    lambda y: functional.pad(y, (3, 2), mode="replicate"),
    lambda y: functional.pad(y, (3, 2), mode="circular"),
    lambda y: y.index_select(-1, torch.tensor([7, 0, 0, 3])),
    lambda y: y[:, -1],
    lambda y: y[:, 0],
    lambda y: functional.layer_norm(y, (8,))[:, 0],
    lambda y: functional.layer_norm(y, (8,))[:, -1].flip(-1),
]


@pytest.mark.parametrize("move", MOVES)
def test_moved_numbers_are_where_torch_has_them(move):
    check(By(lambda self, x: move(self.linear(x)), linear=nn.Linear(6, 8)), frames())


@settings(max_examples=8, deadline=None, phases=NO_SHRINKING)
@given(st.data())
def test_any_chain_of_moves_of_a_picture(data):
    steps: list[Any] = []
    shape = [2, 3, 4]
    for _ in range(data.draw(st.integers(1, 4))):
        axis = data.draw(st.integers(0, len(shape) - 1))
        kind = data.draw(st.sampled_from(["flip", "roll", "permute", "slice", "cat", "pad", "neg"]))
        match kind:
            case "flip":
                steps.append(lambda y, axis=axis: y.flip(1 + axis))
            case "roll":
                steps.append(lambda y, axis=axis: y.roll(1, 1 + axis))
            case "permute":
                order = data.draw(st.permutations(range(len(shape))))
                steps.append(lambda y, order=tuple(order): y.permute(0, *(1 + i for i in order)))
                shape = [shape[i] for i in order]
            case "slice":
                if shape[axis] > 1:
                    steps.append(lambda y, axis=axis: y.narrow(1 + axis, 1, y.shape[1 + axis] - 1))
                    shape[axis] -= 1
            case "cat":
                steps.append(lambda y, axis=axis: torch.cat([y, -y], 1 + axis))
                shape[axis] *= 2
            case "pad":
                steps.append(lambda y, axis=axis: functional.pad(y, (0, 0) * (y.dim() - 2 - axis) + (1, 0)))
                shape[axis] += 1
            case "neg":
                steps.append(torch.neg)

    def forward(self, x):
        y = self.conv(x)
        for step in steps:
            y = step(y)
        return y

    torch.manual_seed(0)
    check(By(forward, conv=nn.Conv2d(2, 2, 1)), torch.randn(2, 2, 3, 4), time=None)


@pytest.mark.parametrize(
    "cut", [lambda y: y[:, :-1], lambda y: y[:, 1:], lambda y: y[:, -2], lambda y: y[:, ::2], lambda y: y.flip(1)]
)
@pytest.mark.parametrize("before", [lambda y: functional.layer_norm(y, (8,)), lambda y: y, torch.tanh])
def test_frames_that_are_cut_off_are_refused_and_never_taken_for_others(before, cut):
    x = frames()
    fake = quantized(By(lambda self, x: cut(before(self.linear(x))), linear=nn.Linear(6, 8)), x)
    with pytest.raises(LoweringError, match=r"frame"):
        fb.pack(fake, example=[x], time=1)


FOLLOWS: list[Callable[[Tensor], Tensor]] = [
    lambda y: y / y.shape[1],
    lambda y: y * y.shape[1] ** -0.5,
    lambda y: y + y.shape[1],
    lambda y: functional.pad(y, (0, 0, y.shape[1] // 6, 0)),
    lambda y: y + torch.arange(y.shape[1])[:, None] / y.shape[1],
    lambda y: functional.avg_pool1d(y.transpose(1, 2), y.shape[1] - 2),
]


@pytest.mark.parametrize("use", FOLLOWS)
def test_numbers_that_follow_the_length_are_not_frozen_at_that_of_the_example(use):
    x = frames()
    model = By(lambda self, x: use(self.linear(x)), linear=nn.Linear(6, 8))
    with pytest.raises(LoweringError, match=r"^By: an argument of \w+ follows the length of the input"):
        fb.pack(quantized(model, x), example=[x], time=1)
    program = check(model, x)
    assert program.signature.inputs[0].time == -1
