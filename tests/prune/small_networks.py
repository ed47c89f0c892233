"""Small networks with their elements listed by hand, and data that they learn in a second."""

from functools import cache

import torch
from torch import Tensor, nn

from fewbit.prune import Elements, Owned
from fewbit.train import CrossEntropy, fit

CLASSES, SIDE = 6, 6


def images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """One blurred pattern for each class, with noise."""
    patterns = torch.randn(CLASSES, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    return patterns[labels] + 2.5 * torch.randn(count, 1, SIDE, SIDE, generator=generator), labels


def network(seed: int = 0) -> nn.Sequential:
    """Buffers (norm), modes (dropout), and two layers whose channels can go."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 15, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(15 * 9, CLASSES),
    )


@cache
def trained() -> nn.Sequential:
    """Shared by all tests, none of which may change it."""
    x, y = images(600, seed=1)
    model = network()
    batches = [(x[i : i + 60], y[i : i + 60]) for i in range(0, 600, 60)]
    fit(model, batches, CrossEntropy(), epochs=6, lr=5e-3, progress=False)
    return model.train()


def channels() -> list[Elements]:
    """The channels of both convolutions: rows, bias, norm, and the columns that read them."""
    first, second = torch.arange(12), torch.arange(15)
    return [
        Elements(
            "0",
            "channels",
            12,
            (
                Owned("0", "weight", first[:, None, None, None].expand(12, 1, 3, 3)),
                Owned("0", "bias", first),
                Owned("1", "weight", first),
                Owned("1", "bias", first),
                Owned("3", "weight", first[None, :, None, None].expand(15, 12, 3, 3)),
            ),
        ),
        Elements(
            "3",
            "channels",
            15,
            (
                Owned("3", "weight", second[:, None, None, None].expand(15, 12, 3, 3)),
                Owned("3", "bias", second),
                Owned("7", "weight", second.repeat_interleave(9)[None].expand(CLASSES, 135)),
            ),
        ),
    ]


def rows(size: int, name: str = "fc") -> list[Elements]:
    """The rows of ``nn.Linear(1, size, bias=False)``."""
    return [Elements(name, "units", size, (Owned("", "weight", torch.arange(size)[:, None]),))]


def weighted(numbers: Tensor) -> nn.Linear:
    """A layer whose rows are worth the given numbers."""
    layer = nn.Linear(1, len(numbers), bias=False)
    layer.weight.data.copy_(numbers[:, None])
    return layer


def worth_lost(model: nn.Module) -> float:
    """An error that is a sum over the rows of `weighted`: 1 less the worth of what is kept."""
    return 1 - float(model.weight.detach().double().sum())
