"""What cannot be packed is refused in a sentence that says where and what to do; the model stays as it was."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import DecodeError, FewbitError, LoweringError

X = [torch.randn(4, 12, 8, generator=torch.Generator().manual_seed(0))]
PICTURES = [torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))]
SYMBOLS = [torch.randint(0, 10, (4, 12), generator=torch.Generator().manual_seed(0))]


class Network(nn.Module):
    """Two linear layers, and something between them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.relu(self.inner(x)))


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


class LogProbabilities(Network):
    def forward(self, x):
        return super().forward(x).log_softmax(-1)


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


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(6, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a(x) + self.b(y)


def quantized(model: nn.Module, batches: Any = X, weights: Any = "int8", activations: Any = "int8") -> nn.Module:
    return fb.compress(model, fb.Quantize(weights, activations, calibration=batches)).eval()


def check_refused(message: str, model: nn.Module, example: Any = X, **more: Any) -> None:
    with pytest.raises(LoweringError, match=message) as refused:
        fb.pack(model, example=example, **more)
    assert str(refused.value).count("\n") == 0


NETWORKS: list[tuple[Callable[[], nn.Module], Any, str]] = [
    (
        BranchOnNumbers,
        X,
        r"^BranchOnNumbers \('if x.sum\(\) > 0:'\): it cannot be traced, .* write it as tensor operations",
    ),
    (
        NumPyInside,
        X,
        r"^NumPyInside \('x = torch.from_numpy\(self.inner\(x\).detach\(\).numpy\(\)\)'\): it cannot be traced",
    ),
    (
        Cumulative,
        X,
        r"^Cumulative \(cumsum, 'x = self.inner\(x\).cumsum\(1\)'\): a sum without end .* use a mean over time",
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
    (LogProbabilities, X, r"^LogProbabilities \(log_softmax, .* return the scores before it, whose order is the same"),
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
        "^BranchOnLength does other things for other lengths of its input, .* give time=None", student, time=1
    )
    program = fb.pack(student, example=X)
    assert program.signature.inputs[0].shape == (12, 8)
    with pytest.raises(DecodeError, match=r"has shape \(11, 8\), wanted \(12, 8\)"):
        program(X[0][0, 1:].numpy())


# -- quantizers and examples


def test_float_weights_and_steps_without_calibration_are_refused_by_place():
    check_refused(r"^inner \(Linear\): its weight is float; quantize it", Network())
    check_refused(
        r"^head \(Linear\): its weight is float; quantize it", quantized(Network(), weights={"inner": "int8"})
    )
    attached = fb.attach(Network(), "int8", "int8")
    check_refused(r"^inner \(Linear\): int8 quantizer of a signal is not calibrated; call calibrate", attached)
    check_refused(
        r"^inner\S* \(.*\): its input is quantized as int8:token", quantized(Network(), activations="int8:token")
    )


def test_signals_without_a_quantizer_get_their_range_from_the_example():
    student = quantized(Network(), activations=None)
    program = fb.pack(student, example=X)
    assert np.abs(program(X[0][0].numpy()) - student(X[0])[0].detach().numpy()).max() < 1e-3
    check_refused(r"^inner \(Linear\): its result has no quantizer, .* give pack example=batches", student, None)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ([], "^example has no batches; give at least one"),
        ([torch.randn(2, 12, 7)], r"^inner \(Linear\): it does not take the example: .* give batches as the network"),
        ([torch.zeros(2, 12, 8, dtype=torch.int64)], "symbols .integers.; give float32 examples"),
        ([torch.randn(2, 12, 8).double()], "^an input is float64, wanted float32"),
        ([torch.randn(2, 12, 8).half()], "^an input is float16, wanted float32"),
        ([torch.randn(0, 12, 8)], r"^an input of the example is empty, \(0, 12, 8\); give rows"),
        ([torch.randn(2, 0, 8)], r"^an input of the example is empty, \(1, 0, 8\); give rows"),
        ([torch.full((2, 12, 8), torch.nan)], r"^inner \(Linear\): signal to quantize: 96 of 96 numbers are NaN"),
        ([np.zeros((2, 12, 8), np.float32)], "^the example batch holds no tensors; give tensors"),
        (["words"], "^the example batch holds no tensors; give tensors"),
        (X[0][0, 0], "^a|inputs?"),
    ],
)
def test_a_wrong_example_is_refused(example, message):
    check_refused(message, quantized(Network()), example)


def test_two_inputs_given_as_one_or_of_different_lengths_are_refused():
    pair = (torch.randn(2, 12, 8), torch.randn(2, 12, 6))
    student = quantized(TwoInputs(), [pair])
    check_refused(r"^TwoInputs: it does not take the example: .*'y'; give batches", student, pair[0])
    check_refused(r"^TwoInputs: it does not take the example: .*'y'; give batches", student, [{"x": pair[0]}])
    check_refused("a value without time is used in all frames", student, [(pair[0], pair[1][:, :1])])
    with pytest.raises(FewbitError, match=r"the batch has \['z'\], and TwoInputs.forward takes \['x', 'y'\]"):
        fb.pack(student, example={"z": pair[0]})
    program = fb.pack(student, example=[pair])
    x, y = (each[0].numpy() for each in pair)
    with pytest.raises(DecodeError, match=r"^the Program takes 2 arrays \(x, y\), not 1"):
        program(x)
    with pytest.raises(DecodeError, match=r"^the inputs have different lengths in time: \[11, 12\]"):
        program(x, y[1:])


def test_a_network_that_does_not_say_its_input_wants_an_example():
    student = quantized(nn.Sequential(nn.Conv1d(8, 4, 1), nn.GELU(), nn.Conv1d(4, 3, 1)), [torch.randn(2, 8, 12)])
    check_refused("^Sequential does not say what its input looks like; give pack example=batches", student, None)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_kinds_of_numbers_are_refused(kind):
    check_refused(r"^inner.\S+ is \w+; call model.float\(\) before it is quantized", quantized(Network()).to(kind))


@pytest.mark.parametrize("more", [{"time": time} for time in (0, 3, -1, 7, True, 1.0, "first")])
def test_a_time_that_is_no_axis_is_refused(more):
    check_refused(
        r"^time=.* is no axis of the input but its batch; wanted 1, 2, ..., None or 'auto'",
        quantized(Network()),
        **more,
    )


@pytest.mark.parametrize("more", [{"hidden_bits": bits} for bits in (1, 17, 8.5, "8")])
def test_hidden_bits_out_of_range_are_refused(more):
    check_refused(r"^hidden_bits=.*, wanted 2 to 16", quantized(Network()), **more)


@pytest.mark.parametrize("more", [{"context": frames} for frames in (0, -3, 2.5, "all")])
def test_a_context_of_no_frames_is_refused(more):
    check_refused(r"^context=.*, wanted a number of frames", quantized(Network()), **more)


# -- the model stays as it was


class State:
    """Everything about a model that packing could change."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = deepcopy(model.state_dict())
        self.modes = [module.training for module in model.modules()]
        self.hooks = [list(module._forward_pre_hooks) + list(module._forward_hooks) for module in model.modules()]
        self.attributes = [set(vars(module)) for module in model.modules()]
        self.grads = [parameter.requires_grad for parameter in model.parameters()]

    def check(self, model: nn.Module) -> None:
        other = State(model)
        assert self.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(value, other.tensors[name]) for name, value in self.tensors.items())
        assert self.modes == other.modes
        assert self.hooks == other.hooks
        assert self.attributes == other.attributes
        assert self.grads == other.grads


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


# -- what a Program is called with


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
