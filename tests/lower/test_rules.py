"""Rules one by one, on networks so small that a fault cannot hide behind a tolerance."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError
from fewbit.program import Program
from fewbit.quant import quantizers

CLOSE = 2e-4
"""Of the largest result: what 16 bits of a signal leave."""
NO_SHRINKING = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
"""Each example is traced and packed, which takes too long for many."""


class By(nn.Module):
    """A network that is a function of its parts and its input."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def frames(length: int = 12, width: int = 6) -> Tensor:
    return torch.randn(4, length, width)


def channels(length: int = 12, width: int = 6) -> Tensor:
    return torch.randn(4, width, length)


def quantized(model: nn.Module, x: Tensor, weights: Any = "int8", activations: Any = "int8") -> nn.Module:
    return fb.compress(model, fb.Quantize(weights, activations, calibration=[x])).eval()


def check(model: nn.Module, x: Tensor, weights: Any = "int8", close: float = CLOSE, **more: Any) -> Program:
    """The Program gives what the fake-quantized network gives, number for number."""
    fake = quantized(model, x, weights)
    program = fb.pack(fake, example=[x], **more)
    with torch.no_grad():
        wanted = fake(x).double().numpy()
    got = np.stack([program(row.numpy()) for row in x])
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= close * np.abs(wanted).max()
    return program


# -- linear things


def signed_norm(kind: Any, width: int) -> nn.Module:
    """A batch norm half of whose gains are negative, one of them 0."""
    norm = kind(width)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-2, 2, width) * (torch.arange(width) != 1))
        norm.bias.copy_(torch.randn(width))
        norm.running_mean.copy_(torch.randn(width))
        norm.running_var.copy_(torch.rand(width) + 0.1)
    return norm


@pytest.mark.parametrize("weights", ["int8", "ternary", "int4:row"])
@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_with_negative_gains_is_folded(weights, relu):
    norm = signed_norm(nn.BatchNorm1d, 6)
    model = nn.Sequential(nn.Conv1d(6, 6, 3), norm, nn.ReLU() if relu else nn.Identity())
    program = check(model, channels(), weights)
    assert [op.kind for op in program.ops] == ["quantize", "conv"]


def test_batch_norm_after_a_clamp_is_an_op_of_its_own():
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU6(), signed_norm(nn.BatchNorm2d, 6))
    check(model, torch.randn(4, 2, 7, 7))


def test_batch_norm_before_the_first_layer_is_folded_into_its_input():
    check(nn.Sequential(signed_norm(nn.BatchNorm1d, 6), nn.Conv1d(6, 3, 1)), channels(), close=5e-3)


CLAMPS: list[Callable[[Tensor], Tensor]] = [
    functional.relu,
    functional.relu6,
    functional.hardtanh,
    partial(functional.hardtanh, min_val=-0.3, max_val=2.0),
    partial(torch.clamp, min=-0.25, max=0.7),
    partial(torch.clamp, min=0.5),
    partial(torch.clamp, max=-0.5),
    partial(torch.clamp, min=-3.0, max=-1.0),
    lambda x: torch.clamp_min(x, -0.1),
    lambda x: torch.clamp_max(x, 0.1),
    lambda x: functional.relu(-x),
    lambda x: -functional.relu(x),
    lambda x: functional.relu(functional.relu6(x) - 1.0),
    lambda x: 2.0 * torch.clamp(0.5 * x, -0.2, 0.4) + 1.0,
    lambda x: -2.0 * torch.clamp(x, -1.0, 0.5),
]


@pytest.mark.parametrize("clamp", CLAMPS)
def test_clamps_end_where_they_should(clamp):
    model = By(lambda self, x: clamp(4.0 * self.linear(x)), linear=nn.Linear(6, 8))
    check(model, frames())
    # Seen through another layer, whose quantizer decides about the codes.
    model = By(lambda self, x: self.head(clamp(4.0 * self.linear(x))), linear=nn.Linear(6, 8), head=nn.Linear(8, 3))
    check(model, frames(), close=0.03)


SUMS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: torch.add(a, b, alpha=-0.3),
    lambda a, b: torch.sub(a, b, alpha=2.5),
    lambda a, b: 1.0 - a,
    lambda a, b: torch.rsub(a, 0.5, alpha=3),
    lambda a, b: a - 2.0,
    lambda a, b: 2.0 + a + b,
    lambda a, b: torch.add(a, 0.5, alpha=2),
    lambda a, b: a + a,
    lambda a, b: a - 0.5 * a,
    lambda a, b: -a + b,
    lambda a, b: a + 0.01 * b,
    lambda a, b: a * b,
    lambda a, b: a * a - b,
    lambda a, b: -a * b,
    lambda a, b: a / 4.0 + b * 3.0,
    lambda a, b: a + b[..., :1],
    lambda a, b: a[..., :1] * b,
    lambda a, b: b.mean(-1, keepdim=True) + a,
]


@pytest.mark.parametrize("sum_of", SUMS)
def test_sums_and_products_of_two_signals(sum_of):
    model = By(lambda self, x: sum_of(self.a(x), self.b(x)), a=nn.Linear(6, 8), b=nn.Linear(6, 8))
    check(model, frames())


def test_in_place_sums_leave_what_others_read():
    def forward(self, x):
        y = self.a(x)
        z = self.b(x)
        y += z
        return torch.cat([y, z], -1)

    check(By(forward, a=nn.Linear(6, 4), b=nn.Linear(6, 4)), frames())


VECTORS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda y, v: y * v,
    lambda y, v: v * y + v,
    lambda y, v: y / (v.abs() + 0.5),
    lambda y, v: y - v,
    lambda y, v: v - y,
    lambda y, v: (y.transpose(1, 2) * v[:, None]).transpose(1, 2),
    lambda y, v: functional.relu(y) * v,
    lambda y, v: functional.relu(y) * v + v,
    lambda y, v: y.flip(-1) * v,
    lambda y, v: torch.cat([y, y], -1) * torch.cat([v, -v]),
    lambda y, v: (y.unflatten(-1, (2, 4)) * v[:4]).flatten(-2),
    lambda y, v: (y.unflatten(-1, (2, 4)) * v[:2, None]).flatten(-2),
]


@pytest.mark.parametrize("use", VECTORS)
def test_constants_for_each_channel(use):
    vector = torch.tensor([0.5, -2.0, 0.0, 1.0, 3.0, -0.1, 1.0, 0.25])
    check(By(lambda self, x: use(self.linear(x), vector), linear=nn.Linear(6, 8)), frames())


def test_signals_of_different_scales_are_joined():
    def forward(self, x):
        y = self.a(x)
        return torch.cat([100.0 * y, self.b(x), 0.01 * y, torch.zeros_like(y), torch.tanh(y)], -1)

    check(By(forward, a=nn.Linear(6, 4), b=nn.Linear(6, 5)), frames())


def test_constants_of_the_shape_of_a_signal_are_constants():
    def forward(self, x):
        y, _ = self.rnn(x, x.new_zeros(1, len(x), 4))
        return y + torch.ones_like(y)

    check(By(forward, rnn=nn.GRU(6, 4, batch_first=True)), frames(), close=2e-3)


def test_joined_signals_are_read_by_one_quantizer():
    model = By(
        lambda self, x: self.head(torch.cat([self.a(x), 0.5 * self.b(x)], -1)),
        a=nn.Linear(6, 4), b=nn.Linear(6, 5), head=nn.Linear(9, 3),
    )  # fmt: skip
    check(model, frames(), close=0.02)


# -- what moves numbers


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
    with pytest.raises(LoweringError, match=r"^By: a number that \w+ takes follows the length of the input"):
        fb.pack(quantized(model, x), example=[x], time=1)
    program = check(model, x)
    assert program.signature.inputs[0].time == -1


# -- convolutions


CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "no padding": lambda: nn.Conv1d(6, 4, 3),
    "padding": lambda: nn.Conv1d(6, 4, 3, padding=1),
    "wide padding": lambda: nn.Conv1d(6, 4, 3, padding=2),
    "valid": lambda: nn.Conv1d(6, 4, 3, padding="valid"),
    "same, odd": lambda: nn.Conv1d(6, 4, 5, padding="same"),
    "same, even": lambda: nn.Conv1d(6, 4, 4, padding="same"),
    "same, even, dilated": lambda: nn.Conv1d(6, 4, 2, padding="same", dilation=3),
    "padded before": lambda: nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(6, 4, 3)),
    "padded behind": lambda: nn.Sequential(nn.ConstantPad1d((0, 2), 0.0), nn.Conv1d(6, 4, 3)),
    "padded twice": lambda: nn.Sequential(nn.ConstantPad1d((1, 1), 0.0), nn.Conv1d(6, 4, 5, padding=1)),
    "stride": lambda: nn.Conv1d(6, 4, 3, stride=2, padding=1),
    "stride above kernel": lambda: nn.Conv1d(6, 4, 2, stride=3),
    "stride far above kernel": lambda: nn.Conv1d(6, 4, 1, stride=4),
    "depthwise": lambda: nn.Conv1d(6, 6, 3, groups=6),
    "groups": lambda: nn.Conv1d(6, 4, 3, groups=2, padding=1),
    "more for each group": lambda: nn.Conv1d(6, 12, 3, groups=3),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_over_time_and_over_places(name):
    for weights in ("int8", "int4:row"):
        program = check(CONVOLUTIONS[name](), channels(13), weights)
        assert program.signature.inputs[0].time == 1
    check(CONVOLUTIONS[name](), channels(13), time=None)


@settings(max_examples=10, deadline=None, phases=NO_SHRINKING)
@given(
    kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 3), padding=st.integers(0, 3),
    length=st.integers(10, 17), groups=st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_any_convolution_over_time_and_any_length(kernel, stride, dilation, padding, length, groups):
    assume(padding <= (kernel - 1) * dilation < 6)
    assume(stride <= length // 3)  # so that a third less gives fewer frames
    torch.manual_seed(kernel)
    x = torch.randn(2, 4, length)
    fake = quantized(nn.Conv1d(4, 8, kernel, stride, padding, dilation, groups), x)
    program = fb.pack(fake, example=[x], time=2)
    for other in (length, length + 1, length + 5):
        y = torch.randn(1, 4, other)
        with torch.no_grad():
            wanted = fake(y)[0].numpy()
        got = program(y[0].numpy())
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() <= CLOSE * np.abs(wanted).max()


PICTURES: dict[str, Callable[[], nn.Module]] = {
    "both": lambda: nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 1)),
    "same": lambda: nn.Conv2d(2, 4, (2, 4), padding="same"),
    "dilated": lambda: nn.Conv2d(2, 4, 3, dilation=(1, 2), padding=(1, 2)),
    "reflect": lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
    "circular": lambda: nn.Conv2d(2, 4, 3, padding=(1, 2), padding_mode="circular"),
    "replicate": lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="replicate"),
    "reflection pad": lambda: nn.Sequential(nn.ReflectionPad2d((1, 2, 0, 1)), nn.Conv2d(2, 4, 3)),
    "zero pad": lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(2, 4, 3, stride=2)),
    "stride above kernel": lambda: nn.Conv2d(2, 4, 2, stride=3),
    "groups": lambda: nn.Conv2d(2, 4, 3, groups=2),
    "pooled": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2, 1, 1)),
    "averaged": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AvgPool2d((3, 2), (1, 2), (1, 0))),
    "adaptive": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d((2, 3))),
    "shuffled": lambda: nn.Sequential(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", PICTURES)
def test_convolutions_and_pooling_of_pictures(name):
    program = check(PICTURES[name](), torch.randn(4, 2, 8, 8))
    assert program.signature.inputs[0].time == -1


def test_pictures_that_come_as_a_stream_of_columns():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=(1, 1), stride=(2, 1)), nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Flatten(1, 2)
    )
    program = check(model, torch.randn(4, 1, 8, 12), time=3)
    assert program.lookahead == 1
    x = torch.randn(1, 1, 8, 20)
    assert program(x[0].numpy()).shape == (8, 20)


# -- weights and quantizers


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


# -- attention


def attention(mask: Tensor | None, causal: bool) -> nn.Module:
    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        seen = None if mask is None else mask[: x.shape[1], : x.shape[1]]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=causal)
        return y.transpose(1, 2).flatten(2)

    return By(forward, qkv=nn.Linear(8, 24))


def band(window: int) -> Tensor:
    lower = torch.ones(40, 40, dtype=torch.bool).tril()
    return lower & ~lower.tril(-window)


def test_a_band_of_attention_is_a_window_and_so_is_a_context():
    torch.manual_seed(0)
    x = frames(12, 8)
    banded, causal = attention(band(5), False), attention(None, True)
    causal.load_state_dict(banded.state_dict())
    program = check(banded, x, close=2e-3)
    same = fb.pack(quantized(causal, x), example=[x], context=5)
    assert [op.window for op in program.ops if op.kind == "attend"] == [
        op.window for op in same.ops if op.kind == "attend"
    ]
    y = torch.randn(1, 30, 8)
    with torch.no_grad():
        wanted = quantized(banded, x)(y)[0].numpy()
    for each in (program, same):
        assert np.abs(each(y[0].numpy()) - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_attention_with_masks_of_zeros_and_minus_infinity():
    mask = torch.zeros(40, 40).masked_fill(~band(40), -math.inf)
    check(attention(mask, False), frames(12, 8), close=2e-3)
    check(attention(None, True), frames(12, 8), close=2e-3)
    check(attention(None, False), frames(12, 8), close=2e-3)
    check(attention(band(3), False), frames(12, 8), close=2e-3, time=None)
    with pytest.raises(LoweringError, match="a bias is added to attention scores"):
        check(attention(-0.5 * torch.arange(40.0).expand(40, 40), False), frames(12, 8))


# -- functions and norms


FUNCTIONS: list[Callable[[Tensor], Tensor]] = [
    functional.gelu, partial(functional.gelu, approximate="tanh"), functional.silu, torch.sigmoid, torch.tanh,
    torch.exp, functional.softplus, functional.elu, partial(functional.elu, alpha=0.3), functional.selu,
    functional.mish, functional.hardswish, functional.hardsigmoid, functional.logsigmoid,
    functional.leaky_relu, partial(functional.leaky_relu, negative_slope=-0.2), torch.sin, torch.cos, torch.square,
    torch.abs, lambda x: x**3, torch.erf,
    lambda x: torch.sqrt(functional.relu(x) + 0.5), lambda x: torch.log(x.abs() + 1.0), lambda x: 0.5 * x.neg().exp(),
    lambda x: functional.glu(x, -1), lambda x: functional.softmax(x, -1), lambda x: (3 * x).softmax(-1),
    lambda x: functional.softmax(x.unflatten(-1, (2, 4)), 2).flatten(2),
    lambda x: functional.normalize(x, dim=-1), lambda x: x / x.norm(dim=-1, keepdim=True),
    lambda x: functional.layer_norm(x, (8,)), lambda x: functional.rms_norm(x, (8,)),
    lambda x: functional.layer_norm(100.0 * x, (8,)), lambda x: functional.layer_norm(x + 30.0, (8,)),
    lambda x: functional.layer_norm(x.unflatten(-1, (2, 4)), (4,)),
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_and_norms(function):
    check(By(lambda self, x: function(2.0 * self.linear(x)), linear=nn.Linear(6, 8)), frames(), close=3e-3)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_rows_of_large_weights_do_not_move_a_bias(kind):
    """An accumulator of such a row counts much of a gate; the bias is finer than that."""
    torch.manual_seed(0)
    layer = kind(6, 8, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0[::3] *= 100
    x = 0.01 * torch.randn(4, 30, 6)
    x[:, ::10] *= 100
    program = check(By(lambda self, x: self.layer(x)[0], layer=layer), x, "int8:row", 2e-3)
    (op,) = [op for op in program.ops if op.kind in ("lstm", "gru")]
    assert op.bias_bits > 0
    without = np.rint(op.bias / 2.0**op.bias_bits) * 2.0**op.bias_bits
    assert np.abs(without - op.bias).max() * op.rescale.multiplier.max() / 2.0**op.rescale.shift > 10  # of 2**-12
