"""Everyday convolutional networks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lower.everyday_recurrent import CLASSES, FEATURES


class Residual(nn.Module):
    """One block with a projection in its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.shortcut = nn.Sequential(nn.Conv2d(3, 8, 1, 2, bias=False), nn.BatchNorm2d(8))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Functional(nn.Module):
    """Convolutions and a linear layer whose activations and pooling are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(8 * 3 * 3, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.relu(self.conv2(x))
        x = torch.flatten(x, 1)
        return functional.softmax(self.fc2(functional.relu(self.fc1(x))), dim=1)


class FunctionalMLP(nn.Module):
    """Parameters of one's own and `functional.linear`."""

    def __init__(self) -> None:
        super().__init__()
        self.weight1 = nn.Parameter(torch.randn(16, FEATURES) / 3)
        self.bias1 = nn.Parameter(torch.randn(16) / 3)
        self.weight2 = nn.Parameter(torch.randn(CLASSES, 16) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(torch.tanh(functional.linear(x, self.weight1, self.bias1)), self.weight2)


def depthwise_separable() -> nn.Module:
    """Keyword spotting: a stem, two depthwise separable blocks, global pooling."""

    def block(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]

    return nn.Sequential(
        *block(1, 12, 3, 2),
        *(part for _ in range(2) for part in (*block(12, 12, 3, groups=12), *block(12, 12, 1))),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(12, CLASSES),
    )


class SqueezeExcite(nn.Module):
    """Channels times a gate that the means of all channels decide."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.down, self.up = nn.Linear(12, 4), nn.Linear(4, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv(x))
        gate = torch.sigmoid(self.up(functional.relu(self.down(x.mean((2, 3))))))
        x = x * gate[:, :, None, None]
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Chomp(nn.Module):
    """Cut off what the padding on the right made."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions and the input added."""

    def __init__(self, channels: int, dilation: int, chomps: bool) -> None:
        super().__init__()
        pad = 2 * dilation

        def conv() -> nn.Module:
            if chomps:
                return nn.Sequential(nn.Conv1d(channels, channels, 3, padding=pad, dilation=dilation), Chomp(pad))
            return nn.Sequential(nn.ConstantPad1d((pad, 0), 0.0), nn.Conv1d(channels, channels, 3, dilation=dilation))

        self.conv1, self.norm1 = conv(), nn.BatchNorm1d(channels)
        self.conv2, self.norm2 = conv(), nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + functional.relu(self.norm2(self.conv2(y))))


def temporal(chomps: bool) -> nn.Module:
    """A temporal convolutional network of three dilations."""
    blocks = [TemporalBlock(12, 2**i, chomps) for i in range(3)]
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 1), *blocks, nn.Conv1d(12, CLASSES, 1))


class WaveStack(nn.Module):
    """Gated dilated causal convolutions whose skips are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(FEATURES, 12, 1)
        self.dilations = (1, 2, 4)
        self.filters = nn.ModuleList(nn.Conv1d(12, 24, 2, dilation=d) for d in self.dilations)
        self.skips = nn.ModuleList(nn.Conv1d(12, 12, 1) for _ in self.dilations)
        self.head = nn.Conv1d(12, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        total: Any = 0
        for dilation, both, skip in zip(self.dilations, self.filters, self.skips, strict=True):
            a, b = both(functional.pad(x, (dilation, 0))).chunk(2, dim=1)
            y = skip(torch.tanh(a) * torch.sigmoid(b))
            total = total + y
            x = x + y
        return self.head(functional.relu(total))


def centred_convolutions() -> nn.Module:
    """Each frame is seen with three later ones."""
    return nn.Sequential(
        nn.Conv1d(FEATURES, 12, 5, padding=2),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Conv1d(12, CLASSES, 3, padding=1),
    )


def plain_convolutions() -> nn.Module:
    """Without padding: fewer frames come out."""
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 3), nn.ReLU(), nn.Conv1d(12, CLASSES, 3))


def pooled_over_time() -> nn.Module:
    """A frame for each two."""
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(12, CLASSES, 1))


def group_normed() -> nn.Module:
    """A picture network with group norm and PReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.PReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.GroupNorm(4, 8),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, CLASSES),
    )
