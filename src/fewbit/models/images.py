"""Networks for small images: a multilayer perceptron, a small convolutional network, and ResNet for CIFAR.

References:
    He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition" (arXiv 1512.03385, section 4.2).
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional


def mlp(inputs: int, hidden: int, layers: int, classes: int) -> nn.Sequential:
    """Flatten, then `layers` times Linear and ReLU of width `hidden`, then Linear to `classes` scores.

    Examples:
        >>> import torch
        >>> tuple(mlp(64, 16, 2, 10)(torch.zeros(3, 1, 8, 8)).shape)
        (3, 10)
    """
    parts: list[nn.Module] = [nn.Flatten()]
    for i in range(layers):
        parts += [nn.Linear(hidden if i else inputs, hidden), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(hidden if layers else inputs, classes))


def convnet(channels: int, maps: int, classes: int, size: int) -> nn.Sequential:
    """Three times convolution 5 x 5, batch norm, ReLU and pooling by 2, with maps, maps and 2 maps; then a dense
    layer of 2 maps units and the scores.

    Args:
        channels: of the picture.
        maps: feature maps of the first layers; 32 is the reference network.
        classes: scores.
        size: height and width of the picture.

    Examples:
        >>> import torch
        >>> tuple(convnet(channels=1, maps=4, classes=10, size=8)(torch.zeros(3, 1, 8, 8)).shape)
        (3, 10)
    """
    parts: list[nn.Module] = []
    inputs = channels
    for outputs in (maps, maps, 2 * maps):
        parts += [nn.Conv2d(inputs, outputs, 5, padding=2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        parts += [nn.MaxPool2d(2)]
        inputs, size = outputs, size // 2
    return nn.Sequential(
        *parts, nn.Flatten(), nn.Linear(inputs * size * size, 2 * maps), nn.ReLU(), nn.Linear(2 * maps, classes)
    )


class ResidualBlock(nn.Module):
    """Two convolutions 3 x 3 and the input added; if the shape changes, the input is subsampled and gets maps of zeros.

    Args:
        inputs, outputs: feature maps.
        stride: of the first convolution.
        activation: the function after each sum; default ReLU.

    Examples:
        >>> import torch
        >>> tuple(ResidualBlock(4, 8, stride=2)(torch.zeros(1, 4, 6, 6)).shape)
        (1, 8, 3, 3)
    """

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = activation()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu2 = activation()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        if x.shape[1:] != y.shape[1:]:
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        out: Tensor = self.relu2(x + y)
        return out


class ResNet(nn.Sequential):
    """ResNet for pictures of 32 x 32: ``6 blocks + 2`` layers, 16, 32 and 64 maps times `width`; no convolution in
    the shortcuts.

    Args:
        classes: scores.
        blocks: residual blocks at each of three sizes; 3 is ResNet-20.
        width: factor of all feature maps.

    Examples:
        >>> import torch
        >>> tuple(ResNet(10, blocks=1, width=0.25)(torch.zeros(1, 3, 32, 32)).shape)
        (1, 10)
    """

    def __init__(self, classes: int, blocks: int = 3, width: float = 1.0) -> None:
        super().__init__()
        inputs = max(1, round(16 * width))
        self.add_module("conv", nn.Conv2d(3, inputs, 3, 1, 1, bias=False))
        self.add_module("norm", nn.BatchNorm2d(inputs))
        self.add_module("relu", nn.ReLU())
        for stage, maps in enumerate((16, 32, 64)):
            outputs = max(1, round(maps * width))
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                self.add_module(f"block{stage}{block}", ResidualBlock(inputs, outputs, stride))
                inputs = outputs
        self.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.add_module("flatten", nn.Flatten())
        self.add_module("head", nn.Linear(inputs, classes))


class ProjectedBlock(nn.Module):
    """Two convolutions 3 x 3 and the input added; where the shape changes, a convolution 1 x 1 adapts the input.

    Args:
        inputs, outputs: feature maps.
        stride: of the first convolution.

    Examples:
        >>> import torch
        >>> tuple(ProjectedBlock(4, 8, stride=2)(torch.zeros(1, 4, 6, 6)).shape)
        (1, 8, 3, 3)
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )  # fmt: skip
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        out: Tensor = self.relu2(self.shortcut(x) + y)
        return out


def image_resnet(classes: int, blocks: Sequence[int] = (2, 2, 2, 2), width: float = 1.0) -> nn.Sequential:
    """ResNet for large pictures: a convolution 7 x 7, pooling, four stages of `blocks` with 64 to 512 maps times
    `width`; ``(2, 2, 2, 2)`` is ResNet-18, ``(3, 4, 6, 3)`` ResNet-34.

    Examples:
        >>> import torch
        >>> tuple(image_resnet(5, (1, 1, 1, 1), width=0.0625)(torch.zeros(1, 3, 64, 64)).shape)
        (1, 5)
    """
    inputs = max(1, round(64 * width))
    network = nn.Sequential()
    network.add_module("conv", nn.Conv2d(3, inputs, 7, 2, 3, bias=False))
    network.add_module("norm", nn.BatchNorm2d(inputs))
    network.add_module("relu", nn.ReLU())
    network.add_module("thin", nn.MaxPool2d(3, 2, 1))
    for stage, count in enumerate(blocks):
        outputs = max(1, round(64 * 2**stage * width))
        for block in range(count):
            stride = 2 if stage and not block else 1
            network.add_module(f"block{stage}{block}", ProjectedBlock(inputs, outputs, stride))
            inputs = outputs
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("head", nn.Linear(inputs, classes))
    return network
