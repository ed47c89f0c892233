"""Rules of convolutions and pooling, on tiny networks."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import fewbit as fb
from tests.lower.tiny_networks import CLOSE, NO_SHRINKING, channels, check, quantized

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
    "pooled to the end": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.MaxPool2d((3, 2), (2, 4), (1, 0), ceil_mode=True)
    ),
    "largest": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    "largest of windows": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d((2, 3))),
    "enlarged": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 2)),
    "transposed": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1)),
    "transposed, its norm behind": lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU()),
    "transposed, odd": lambda: nn.ConvTranspose2d(2, 3, (3, 5), (2, 3), (1, 2), (1, 0), bias=False),
    "transposed, holes": lambda: nn.ConvTranspose2d(2, 3, 1, 2),
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
