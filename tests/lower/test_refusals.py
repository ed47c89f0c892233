"""What cannot be packed is refused in a sentence that says where and what to do; the model stays as it was."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fewbit as fb
from fewbit.errors import DecodeError
from tests.lower.refused import PICTURES, SYMBOLS, Network, State, X, check_refused, quantized


class BranchOnNumbers(Network):
    def forward(self, x):
        x = self.inner(x)
        if x.sum() > 0:
            x = -x
        return self.head(x)


class BranchOnLength(Network):
    def forward(self, x):
        y = self.inner(x)
        return self.head(torch.relu(y) if x.shape[1] > 10 else y)


class NumPyInside(Network):
    def forward(self, x):
        x = torch.from_numpy(self.inner(x).detach().numpy())
        return self.head(x)


class Cumulative(Network):
    def forward(self, x):
        x = self.inner(x).cumsum(1)
        return self.head(x)


class Unknown(Network):
    def forward(self, x):
        x = torch.sinc(self.inner(x))
        return self.head(x)


class SoftmaxOverTime(Network):
    def forward(self, x):
        x = self.inner(x).softmax(1)
        return self.head(x)


class SecondLast(Network):
    def forward(self, x):
        return self.head(self.inner(x)[:, -2])


class WithoutFirst(Network):
    def forward(self, x):
        return self.head(torch.relu(self.inner(x))[:, 1:])


class MeanInEachFrame(Network):
    def forward(self, x):
        x = self.inner(x)
        x = x + x.mean(1, keepdim=True)
        return self.head(x)


class Choice(Network):
    def forward(self, x):
        return super().forward(x).argmax(-1)


class PlaceOfTheLargest(Network):
    def forward(self, x):
        largest, place = super().forward(x).max(-1)
        return largest + place


class LargestFrame(Network):
    def forward(self, x):
        return super().forward(x).amax(1)


class Mirrored(Network):
    def forward(self, x):
        return self.head(torch.nn.functional.pad(self.inner(x).mT, (2, 0), mode="reflect").mT)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = c = torch.zeros(len(x), 8)
        found = []
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
            found.append(h)
        return self.head(torch.stack(found, 1))


class Recurrent(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.rnn, self.head, self.way = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 3), way
        self.h, self.c = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "packed":
            lengths = torch.full((len(x),), x.shape[1])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            y = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]
        else:
            y, _ = self.rnn(x, (self.h.repeat(1, len(x), 1), self.c.repeat(1, len(x), 1)))
        return self.head(y)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.symbol, self.attention = nn.Embedding(10, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.symbol(symbols)
        y, _ = self.attention(x, x, x, key_padding_mask=symbols == 0, need_weights=False)
        return self.head(y)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(x))


NETWORKS: list[tuple[Callable[[], nn.Module], Any, str]] = [
    (
        BranchOnNumbers,
        X,
        r"^BranchOnNumbers \('if x.sum\(\) > 0:'\): it cannot be traced: .* write it as tensor operations",
    ),
    (
        NumPyInside,
        X,
        r"^NumPyInside \('x = torch.from_numpy\(self.inner\(x\).detach\(\).numpy\(\)\)'\): it cannot be traced",
    ),
    (
        Cumulative,
        X,
        r"^Cumulative \(cumsum, 'x = self.inner\(x\).cumsum\(1\)'\): a sum that grows without bound .* use a mean",
    ),
    (
        Unknown,
        X,
        r"^Unknown \(sinc, 'x = torch.sinc\(self.inner\(x\)\)'\): no integer op is known for aten.sinc.default; put it",
    ),
    (
        SoftmaxOverTime,
        X,
        r"^SoftmaxOverTime \(softmax, 'x = self.inner\(x\).softmax\(1\)'\): softmax over time outside",
    ),
    (SecondLast, X, r"^head \(Linear\): it takes a frame from the middle of the input"),
    (WithoutFirst, X, r"^head \(Linear\): its frames are moved in time"),
    (MeanInEachFrame, X, r"^MeanInEachFrame \(add, 'x = x \+ x.mean\(1, keepdim=True\)'\): a value without time is"),
    (Choice, X, r"^Choice \(argmax, .* a choice .* return the scores, and choose among them outside"),
    (PlaceOfTheLargest, X, r"^PlaceOfTheLargest \(max, .* the place of the largest number is a choice; return the"),
    (LargestFrame, X, r"^LargestFrame \(amax, .* the largest of all frames has no integer op; use the mean over time"),
    (Mirrored, X, r"^Mirrored \(pad, .* padding in time with reflect reads frames that have not come yet; pad with"),
    (Loop, X, r"^cell \(LSTMCell\): a loop over cells .* use nn.LSTM"),
    (lambda: Recurrent("packed"), X, r"^rnn \(LSTM\): a packed sequence has no integer form; call it with the tensor"),
    (lambda: Recurrent("learned"), X, r"^rnn \(LSTM\): it starts from a learned state, wanted zeros"),
    (Masked, SYMBOLS, r"^Masked \(eq, .* a comparison of numbers .* a mask of padding is not needed"),
    (
        Pooled,
        PICTURES,
        r"^pool \(AdaptiveAvgPool2d\): adaptive pooling from \(8, 8\) to \[3, 3\], .* use sizes that do",
    ),
    (
        lambda: nn.Sequential(nn.Conv3d(2, 3, 2)),
        [torch.zeros(1, 2, 4, 4, 4) + 1],
        r"^0 \(Conv3d\): no integer op is known",
    ),
]


@pytest.mark.parametrize(
    ("build", "batches", "message"), NETWORKS, ids=[re.sub(r"\W+", " ", n[2])[:40] for n in NETWORKS]
)
def test_a_network_is_refused_by_place_and_remedy_and_stays_as_it_was(build, batches, message):
    student = quantized(build(), batches)
    student.train()
    before = State(student)
    check_refused(message, student, batches)
    before.check(student)


def test_a_branch_on_the_length_is_packed_for_one_length_only():
    student = quantized(BranchOnLength())
    check_refused(
        "^BranchOnLength has another graph for other lengths of its input, .* give time=None", student, time=1
    )
    program = fb.pack(student, example=X)
    assert program.signature.inputs[0].shape == (12, 8)
    with pytest.raises(DecodeError, match=r"has shape \(11, 8\), wanted \(12, 8\)"):
        program(X[0][0, 1:].numpy())
