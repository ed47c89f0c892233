"""Quantizers, examples and arguments of `pack` that do not fit are refused."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fewbit as fb
from fewbit.errors import ArgumentError, DecodeError, FewbitError
from tests.lower.refused import Network, X, check_refused, quantized


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(6, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a(x) + self.b(y)


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
    with pytest.raises(
        ArgumentError, match=r"^time=.* is no axis of the input but its batch; wanted 1, 2, ..., None or"
    ):
        fb.pack(quantized(Network()), example=X, **more)


@pytest.mark.parametrize("more", [{"hidden_bits": bits} for bits in (1, 17, 8.5, "8")])
def test_hidden_bits_out_of_range_are_refused(more):
    with pytest.raises(ArgumentError, match=r"^hidden_bits=.*, wanted 2 to 16"):
        fb.pack(quantized(Network()), example=X, **more)


@pytest.mark.parametrize("more", [{"context": frames} for frames in (0, -3, 2.5, "all")])
def test_a_context_of_no_frames_is_refused(more):
    with pytest.raises(ArgumentError, match=r"^context=.*, wanted a number of frames"):
        fb.pack(quantized(Network()), example=X, **more)
