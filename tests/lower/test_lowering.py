"""What has a Program, what has not, and what the refusals say."""

import numpy as np
import pytest
import torch
from torch import nn

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.features import LogMel
from fewbit.lower import pack
from fewbit.passes import Quantize, compress
from fewbit.program import Program, ops
from fewbit.quant import attach, input_quantizer
from fewbit.text import Alphabet

X = torch.randn(2, 20, 6, generator=torch.Generator().manual_seed(0))


def quantized(*modules, activations="int8", weights="ternary"):
    model = layers.Chain(layers.Normalize(6), *modules).eval()
    return compress(model, Quantize(weights=weights, activations=activations, calibration=[X]))


class RunningSum(nn.Module):
    def forward(self, x):
        return x.cumsum(1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: layers.Chain(layers.Normalize(6), nn.Linear(6, 3)),
            r"^1 \(Linear\): its weight is float; quantize it",
        ),
        (
            lambda: attach(layers.Chain(layers.Normalize(6), nn.Linear(6, 3)), "int4"),
            r"^1 \(Linear\): its result has no quantizer, and there are no examples",
        ),
        (
            lambda: quantized(nn.Linear(6, 4), nn.Linear(4, 3), activations={"1": "int8"}),
            r"^2 \(Linear\): its result has no quantizer, .* give pack example=batches, or add activations='int8'",
        ),
        (lambda: quantized(nn.Linear(6, 3), activations="int8:token"), "steps chosen at run time"),
        (
            lambda: quantized(nn.Linear(6, 3), RunningSum()),
            r"^2 \(cumsum, .return x.cumsum.*: a sum that grows without bound .aten.cumsum",
        ),
    ],
)
def test_refusals_name_the_layer_and_the_way_out(model, message):
    with pytest.raises(LoweringError, match=message):
        pack(model())


def test_a_network_that_ends_in_an_lstm_gives_its_hidden_states():
    student = quantized(layers.LSTM(6, 3))
    wanted = student(X)[0][0].detach().double().numpy()
    assert np.abs(pack(student)(X[0].numpy()) - wanted).max() < 0.02


def test_a_float_weight_is_refused():
    model = quantized(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3), weights={"1": "int4", "*": None})
    with pytest.raises(LoweringError, match=r"^3 \(Linear\): its weight is float"):
        pack(model)


@pytest.mark.parametrize("base", [nn.Module, layers.Layer])
def test_a_users_own_module_is_traced(base):
    class Model(base):
        def __init__(self):
            super().__init__()
            self.norm, self.rnn, self.head = layers.Normalize(6), layers.SRU(6, 6), nn.Linear(6, 3)

        def forward(self, x, state=None):
            y, state = self.rnn(self.norm(x), state)
            return self.head(y), state

    student = compress(Model(), Quantize("int8", "int8", calibration=[X])).eval()
    program = pack(student)
    assert [op.name for op in program.ops] == ["input", "rnn", "head"]
    wanted = student(X)[0][0].detach().double().numpy()
    assert np.abs(program(X[0].numpy()) - wanted).max() < 0.03


def test_equal_steps_need_no_requantize_and_others_do():
    student = quantized(layers.LSTM(6, 5), nn.Linear(5, 3))
    assert input_quantizer(student[2]).step == input_quantizer(student[1].hidden).step
    assert [type(op) for op in pack(student).ops] == [ops.Quantize, ops.LSTM, ops.Dense]
    input_quantizer(student[2]).step *= 0.9
    assert [type(op) for op in pack(student).ops] == [ops.Quantize, ops.LSTM, ops.Requantize, ops.Dense]


def test_relu_clips_at_zero_and_uint8_uses_all_codes():
    student = quantized(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), activations={"1": "int8", "3": "uint8"})
    dense = pack(student).ops[1]
    assert (dense.rescale.low, dense.rescale.high) == (0, 255)


def test_a_program_refuses_ops_that_do_not_fit():
    program = pack(quantized(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    with pytest.raises(LoweringError, match="gives 6 numbers a frame, 3 wants 5"):
        Program((program.ops[0], program.ops[2]))


@pytest.mark.parametrize(
    ("layer", "kept"),
    [(layers.SRU, "q3.12"), (layers.LSTM, "q3.12"), (layers.GRU, "q0.15"), (layers.QRNN, "q0.15")],
)
def test_a_cell_is_kept_as_programs_keep_it_or_refused(layer, kept):
    def model(cell):
        # The input of a QRNN belongs to its convolution.
        wanted = {"*.cell": cell, "1": "int8", "1.hidden": "int8", "1.gates": "int8", "2": "int8"}
        made = layer(6, 5)
        there = {"1.hidden": hasattr(made, "weight_hidden"), "1.gates": hasattr(made, "gates")}
        there["1"] = not there["1.gates"]
        activations = {name: spec for name, spec in wanted.items() if there.get(name, True)}
        return quantized(made, nn.Linear(5, 3), activations=activations, weights="int8")

    student = model(kept)
    difference = pack(student)(X[0].numpy()) - student(X)[0][0].detach().double().numpy()
    assert np.abs(difference).max() < 0.03
    with pytest.raises(LoweringError, match=f"its cell is quantized as int4, but Programs keep it as {kept}"):
        pack(model("int4"))


def test_signals_have_fewer_bits_where_sums_of_products_could_overflow_32():
    wide = quantized(
        nn.Linear(6, 600), nn.ReLU(), nn.Linear(600, 3), activations={"1": "int8", "3": "q3.12"}, weights="int8"
    )
    with torch.no_grad():
        wide[3].parametrizations.weight.original.fill_(1.0)
        wide[3].parametrizations.weight[0].fit(wide[3].parametrizations.weight.original)
    program = pack(wide)
    assert program.ops[2].kind == "requantize"
    assert 127 * 600 * program.graph.values[2].high < 1 << 30 <= 2 * 127 * 600 * (program.graph.values[2].high + 1)
    wanted = wide(X)[0][0].detach().double().numpy()
    assert np.abs(program(X[0].numpy()) - wanted).max() < 0.002 * np.abs(wanted).max()


def test_a_plain_sequential_network_is_packed():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    student = compress(model, Quantize({"2": "int8", "*": "ternary"}, "int8", calibration=[X]))
    assert np.abs(pack(student)(X[0].numpy()) - student(X)[0].detach().double().numpy()).max() < 0.03


def test_what_the_result_does_not_depend_on_is_left_out():
    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 3), nn.Linear(3, 2)

        def forward(self, x):
            y = self.a(x)
            self.b(y)
            return y

    student = compress(Early(), Quantize("int8", "int8", calibration=[X]))
    assert [op.name for op in pack(student).ops] == ["input", "a"]


def test_features_and_alphabet_must_fit_the_network():
    student = quantized(nn.Linear(6, 3))
    with pytest.raises(LoweringError, match="the features have 40 numbers a frame, the network takes 6"):
        pack(student, features=LogMel(40))
    with pytest.raises(LoweringError, match="the alphabet has 1 tokens and the blank, the network gives 3"):
        pack(student, alphabet=Alphabet(("a",)))
