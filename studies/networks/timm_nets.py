"""Everyday networks for pictures from timm 1.0.31: ResNet-18, MobileNetV2 at half width, and a small ViT.

Weights are random from a fixed seed: the wheel has none. So that they behave like trained ones, batch normalisation
gets its statistics from real pictures, and the last layer is scaled and shifted until each class score has mean 0 and
standard deviation 2 over them; otherwise all pictures would get the same class. Only agreement counts.

timm imports torchvision, of which these networks use nothing. Empty modules stand in for it while timm is imported
from its wheel, and are gone after that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from studies.networks import corpora
from studies.networks.network import Inputs, Network
from studies.networks.wheels import wheel_file

NAME, VERSION = "timm", "1.0.31"
NETWORKS: dict[str, tuple[str, int, dict[str, int]]] = {
    "resnet18": ("resnet18", 64, {}),
    "mobilenetv2": ("mobilenetv2_050", 64, {}),
    "vit": ("vit_tiny_patch16_224", 32, {"img_size": 32, "patch_size": 4, "depth": 6}),
}
"""By name: timm's own name, the width of a picture in pixels, and settings."""
CLASSES = 10
SPREAD = 2.0  # standard deviation of a class score over pictures
STATISTICS, CALIBRATION, HELD_OUT = 256, 16, 64  # pictures
MEAN, DEVIATION = 120.0, 64.0  # about those of the colours of CIFAR-10


class _Names(type):
    """Classes whose every attribute is its own name."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Empty(ModuleType):
    """A module that has every name asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or _Names(name, (), {})


@contextmanager
def _without_torchvision() -> Iterator[None]:
    parts = ("ops", "ops.misc", "transforms", "transforms.functional", "datasets", "utils")
    names = ["torchvision", *(f"torchvision.{part}" for part in parts)]
    for name in names:
        sys.modules[name] = _Empty(name)
        sys.modules[name].__path__ = []
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@cache
def timm() -> Any:
    """The package, from its wheel."""
    sys.path.insert(0, str(wheel_file(NAME, VERSION)))
    try:
        with _without_torchvision():
            return import_module("timm")
    finally:
        del sys.path[0]


def as_input(pictures: NDArray[np.uint8], width: int) -> Tensor:
    """``(n, 3, width, width)`` around 0 of pictures ``(n, 32, 32, 3)``, each pixel repeated where they grow."""
    times = width // pictures.shape[1]
    grown = pictures.repeat(times, 1).repeat(times, 2)
    return torch.from_numpy(((grown.astype(np.float32) - MEAN) / DEVIATION).transpose(0, 3, 1, 2).copy())


@torch.no_grad()
def settle(model: nn.Module, pictures: Tensor) -> nn.Module:
    """Give batch normalisation its statistics, and class scores mean 0 and a standard deviation of 2."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
            module.reset_running_stats()
    model.train()
    batches = torch.split(pictures, 64)
    for batch in batches:
        model(batch)
    model.eval()
    head = next(module for module in reversed(list(model.modules())) if isinstance(module, nn.Linear))
    scores = torch.cat([model(batch) for batch in batches])
    factor = SPREAD / scores.std(0)
    head.weight *= factor[:, None]
    head.bias.copy_((head.bias - scores.mean(0)) * factor)
    return model


def load(name: str = "resnet18") -> Network:
    """The network of a name in `NETWORKS`; pictures of CIFAR-10, those of its test part held out."""
    theirs, width, settings = NETWORKS[name]
    torch.manual_seed(0)
    model: nn.Module = timm().create_model(theirs, num_classes=CLASSES, **settings)
    data = corpora.pictures()
    settle(model, as_input(data["x_train"][-STATISTICS:], width))

    def inputs(pictures: NDArray[np.uint8]) -> list[Inputs]:
        return [(picture[None],) for picture in as_input(pictures, width)]

    return Network(
        name,
        model,
        inputs(data["x_train"][:CALIBRATION]),
        inputs(data["x_test"][:HELD_OUT]),
        output="scores",
    )
