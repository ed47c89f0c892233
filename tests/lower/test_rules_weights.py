"""Rules of weights and quantizers that several layers share, on tiny networks."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError
from fewbit.quant import quantizers
from tests.lower.tiny_networks import By, check, frames, quantized


def test_a_weight_of_two_layers_is_quantized_once():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    program = check(model, frames(), close=0.02)
    assert np.array_equal(program.ops[1].weight.codes(), program.ops[2].weight.codes())


def test_a_layer_that_is_called_twice_is_two_ops():
    model = By(lambda self, x: self.linear(torch.tanh(self.linear(x))), linear=nn.Linear(6, 6))
    program = check(model, frames(), close=0.02)
    assert [op.kind for op in program.ops] == ["quantize", "dense", "map", "dense"]
    assert len({op.name for op in program.ops}) == 4


def test_a_signal_is_read_by_two_quantizers_of_different_steps():
    model = By(
        lambda self, x: torch.cat([self.a(self.inner(x)), self.b(self.inner(x))], -1),
        inner=nn.Linear(6, 8), a=nn.Linear(8, 3), b=nn.Linear(8, 3),
    )  # fmt: skip
    x = frames()
    fake = quantized(model, x, activations={"inner": "int8", "a": "int8", "b": "int3"})
    program = fb.pack(fake, example=[x])
    with torch.no_grad():
        wanted = fake(x).numpy()
    got = np.stack([program(row.numpy()) for row in x])
    assert np.abs(got - wanted).mean() < 0.002 * wanted.std()


def test_attention_reads_one_tensor_through_one_quantizer():
    def forward(self, x):
        y = self.norm(x)
        return self.attention(y, y, y, need_weights=False)[0]

    x = frames(10, 8)
    model = By(forward, norm=nn.LayerNorm(8), attention=nn.MultiheadAttention(8, 2, batch_first=True))
    fake = fb.compress(model, fb.Quantize("int8", {"attention": "int3", "*": "int8"}, calibration=[x])).eval()
    assert [name for name, _ in quantizers(fake) if name.endswith("input")].count("attention.input") == 1
    program = fb.pack(fake, example=[x])
    with torch.no_grad():
        wanted = fake(x).numpy()
    got = np.stack([program(row.numpy()) for row in x])
    assert np.abs(got - wanted).mean() < 0.03 * wanted.std()  # int3 on the queries alone would be far away


class OldLinear(nn.Module):
    """As in GPT-2: the weight lies the other way round."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) / 3), nn.Parameter(torch.randn(outputs))
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], self.outputs)


def test_a_weight_the_other_way_round():
    check(OldLinear(6, 4), frames())
    x = frames()
    with pytest.raises(LoweringError, match="a step for each column here; quantize it with one step for the tensor"):
        fb.pack(quantized(OldLinear(6, 4), x, "int8:row"), example=[x])
    check(By(lambda self, x: x @ self.weight, weight=nn.Parameter(torch.randn(6, 4))), frames())


@pytest.mark.parametrize("weights", ["int8", "int8:row", "ternary"])
def test_a_weight_that_is_split_into_three(weights):
    def forward(self, x):
        q, k, v = self.weight.split(6)
        return torch.cat([functional.linear(x, w) for w in (v, q, k)], -1)

    check(By(forward, weight=nn.Parameter(torch.randn(18, 6))), frames(), weights)
    check(By(lambda self, x: functional.linear(x, self.weight[2:5]), weight=nn.Parameter(torch.randn(8, 6))), frames())


def test_groups_of_weights_have_scales_of_their_own():
    check(nn.Linear(24, 8), frames(6, 24), "int4/8", close=2e-3)
    check(nn.Linear(24, 8), frames(6, 24), "ternary/12", close=2e-3)


def test_results_may_be_large_or_tiny():
    for factor in (1e-5, 1e-3, 1e3, 1e6):
        check(By(lambda self, x, f=factor: f * self.linear(x), linear=nn.Linear(6, 4)), frames())
