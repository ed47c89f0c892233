"""Pictures with convolutions 3 x 3 in three stages with max pooling, the network of coarse pruning.

References:
    Anwar, Sung 2016 (arXiv 1610.09639).
"""

from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.data import Images, TensorBatches, cifar, shift_and_flip
from fewbit.passes import Finetune
from fewbit.prune import ClassificationScore
from fewbit.tasks import Task
from fewbit.train import cosine
from studies.evidence.setting import Setting
from studies.tasks.few_images import few_images_task
from studies.tasks.named import error_rate

SEARCHED = 300
"""The first pictures for development, by which masks are searched; the next ones choose among the best."""


def staged_network(channels: int, maps: int, classes: int) -> nn.Module:
    """Stages of 1, 2 and 2 convolutions with `maps`, `maps` and ``2 maps`` maps; then their means, and the scores.

    The first stage, whose pictures are largest, has one convolution, and norms come behind pooling, for their time.
    """
    network = nn.Sequential()
    inputs = channels
    for stage, layers, outputs in ((1, "a", maps), (2, "ab", maps), (3, "ab", 2 * maps)):
        for layer in layers:
            network.add_module(f"conv{stage}{layer}", nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
            if layer == layers[-1]:
                network.add_module(f"pool{stage}", nn.MaxPool2d(2))
            network.add_module(f"norm{stage}{layer}", nn.BatchNorm2d(outputs))
            network.add_module(f"relu{stage}{layer}", nn.ReLU())
            inputs = outputs
    network.add_module("mean", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("scores", nn.Linear(inputs, classes))
    return channels_last(network)


def channels_last(model: nn.Module) -> nn.Module:
    """The layout in which convolutions of few maps are fastest on a CPU; what is cut has lost it."""
    laid: nn.Module = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid


def staged_task(images: Images, moved: bool = False, **settings: Any) -> Task:
    """Pictures with `staged_network`, moved a little and mirrored where they may be; the size is its maps."""
    channels = images.train[0].shape[1]
    return Task(
        name="stages",
        build=partial(_build, channels, images.classes),
        batches=partial(_batches, images.train, moved),
        evaluate=partial(error_rate, images.dev),
        test=partial(error_rate, images.test),
        schedule=cosine(warmup=0.1),
        **settings,
    )


def colour_task(setting: Setting, **settings: Any) -> tuple[Task, Images]:
    """CIFAR-10, or its part that is small enough for studies, with `staged_network`."""
    images = _colour(setting.folder("cifar10" if setting.full else "cifar10_subset"))
    return staged_task(images, moved=True, **settings), images


def digit_task(setting: Setting, pictures: int, seed: int, **settings: Any) -> tuple[Task, Images]:
    """MNIST with few training pictures, other ones for each seed, with `staged_network`."""
    seen: list[Images] = []

    def make(images: Images, **more: Any) -> Task:
        seen.append(images)
        return staged_task(images, **more)

    return few_images_task(setting, pictures, seed, make=make, **settings), seen[0]


def mask_scores(images: Images) -> tuple[ClassificationScore, ClassificationScore]:
    """Two scores on development pictures that share none: one to search masks by, one to choose among the best."""
    x, y = images.dev
    many = min(SEARCHED, len(y) // 2)
    first, second = slice(0, many), slice(many, 2 * many)
    return ClassificationScore([(x[first], y[first])]), ClassificationScore([(x[second], y[second])])


def retraining(task: Task, seed: int, epochs: int) -> Finetune:
    """The retraining behind a pass that prunes, with batches in another order than those of the float network."""
    return task.retraining(seed + 100, epochs=epochs)


def _build(channels: int, classes: int, size: float) -> nn.Module:
    return staged_network(channels, int(size), classes)


def _batches(data: tuple[Tensor, Tensor], moved: bool, seed: int) -> TensorBatches:
    return TensorBatches(*data, 128, seed, shift_and_flip(2) if moved else None)


@cache
def _colour(folder: Path) -> Images:
    return cifar(folder)
