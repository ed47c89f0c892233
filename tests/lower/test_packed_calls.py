"""Packing leaves the model as it was, and a Program refuses what is not its input."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import DecodeError
from tests.lower.refused import SYMBOLS, Network, State, X, quantized


class Everything(nn.Module):
    """Batch norm, dropout, a recurrent layer and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(8, 8, 3, padding=1), nn.BatchNorm1d(8)
        self.rnn, self.drop = nn.GRU(8, 8, batch_first=True), nn.Dropout(0.5)
        self.attention, self.head = nn.MultiheadAttention(8, 2, 0.1, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x.transpose(1, 2)))).transpose(1, 2)
        x = self.drop(self.rnn(x)[0])
        return self.head(self.attention(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("training", [False, True])
def test_packing_leaves_the_model_as_it_was_and_gives_the_same_bytes_again(training):
    student = quantized(Everything())
    student.rnn.train()  # a part in another mode
    if training:
        student.train()
    before = State(student)
    first = fb.pack(student, example=X)
    before.check(student)
    assert fb.pack(student, example=X).to_bytes() == first.to_bytes()
    before.check(student)
    student.eval()
    with torch.no_grad():
        wanted = student(X[0])
    fb.pack(student, example=X, hidden_bits=8)
    with torch.no_grad():
        assert torch.equal(student(X[0]), wanted)
    assert np.abs(first(X[0][0].numpy()) - wanted[0].numpy()).max() < 0.02


@pytest.fixture(scope="module")
def program() -> fb.Program:
    torch.manual_seed(0)
    return fb.pack(quantized(Network()), example=X)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 12, 8), np.float32), r"has shape \(1, 12, 8\), wanted \(time, 8\) \(no batch axis\)"),
        (np.zeros((12, 7), np.float32), r"has shape \(12, 7\), wanted \(time, 8\)"),
        (np.zeros(8, np.float32), r"has shape \(8,\), wanted \(time, 8\)"),
        (np.float32(1), r"has shape \(\), wanted \(time, 8\)"),
        (np.zeros((12, 8), complex), "holds complex128, wanted real numbers"),
        (np.zeros((12, 8), bool), "holds bool, wanted real numbers"),
        (np.full((12, 8), "a"), "holds <U1, wanted real numbers"),
        (np.full((12, 8), None), "holds object, wanted real numbers"),
        (np.full((12, 8), np.nan, np.float32), "NaN or infinite"),
        (np.full((12, 8), np.inf), "NaN or infinite"),
    ],
)
def test_a_program_refuses_what_is_not_its_input(program, x, message):
    with pytest.raises(DecodeError, match=message):
        program(x)


def test_a_program_refuses_another_number_of_inputs(program):
    x = X[0][0].numpy()
    for given in ((), (x, x)):
        with pytest.raises(DecodeError, match=r"the Program takes 1 arrays? \(x\), not [02]"):
            program(*given)


def test_a_program_takes_torch_tensors_and_lists_and_gives_no_frames_for_none(program):
    x = X[0][0]
    assert np.array_equal(program(x), program(x.numpy()))
    assert np.array_equal(program(x.tolist()), program(x.numpy()))
    assert program(x[:0].numpy()).shape == (0, 3)


def test_a_symbol_out_of_the_table_is_refused():
    embedder = quantized(nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 3)), SYMBOLS)
    program = fb.pack(embedder, example=SYMBOLS)
    assert program(np.array([0, 9])).shape == (2, 3)
    for symbols in ([0, 10], [-1, 2], [2**40, 1]):
        with pytest.raises(DecodeError, match="symbol"):
            program(np.array(symbols))
    with pytest.raises(DecodeError, match="holds float64, wanted integers"):
        program(np.array([0.5, 1.0]))
