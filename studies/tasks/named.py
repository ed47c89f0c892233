"""The tasks of the studies: networks and data small enough for two cores in minutes."""

import math
from collections.abc import Callable, Sized
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from fewbit.data import Characters, ImageFolder, Images, TensorBatches, Windows, cifar, mnist, shift_and_flip, wikitext2
from fewbit.errors import DataError
from fewbit.models import CharLM, ResNet, convnet, image_resnet, mlp
from fewbit.tasks import Task
from studies.evidence.setting import Setting


def error_rate(data: tuple[Tensor, Tensor], model: nn.Module) -> float:
    """Share of pictures whose class is wrong, in %."""
    x, y = data
    parts = zip(torch.split(x, 1000), torch.split(y, 1000), strict=True)
    wrong = sum(int((model(part).argmax(1) != truth).sum()) for part, truth in parts)
    return 100 * wrong / len(y)


def bits_per_character(stream: Tensor, model: nn.Module, streams: int = 32) -> float:
    """Mean cost of the next character, in bits, over `streams` long pieces read side by side with state carried."""
    steps = (len(stream) - 1) // streams
    x, y = (stream[i : i + steps * streams].view(streams, steps) for i in (0, 1))
    state, nats = None, 0.0
    for part, target in zip(torch.split(x, 256, 1), torch.split(y, 256, 1), strict=True):
        scores, state = model(part, state)
        nats += float(functional.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="sum"))
    return nats / x.numel() / math.log(2)


def perceptron_task(images: Images, *, layers: int = 2, **settings: Any) -> Task:
    """Pictures with a perceptron; the size is its width."""
    inputs = images.train[0][0].numel()
    chosen: dict[str, Any] = {"size": 64, "sizes": (4, 8, 16, 32, 64, 128), "epochs": 8, "retrain_epochs": 8} | settings
    return Task(
        name="perceptron",
        build=partial(_perceptron, inputs, layers, images.classes),
        **_pictures(images, 128),
        **chosen,
    )


def convnet_task(images: Images, **settings: Any) -> Task:
    """Pictures with a small convolutional network; the size is its feature maps."""
    _, channels, _, height = images.train[0].shape
    chosen: dict[str, Any] = {"size": 8, "sizes": (1, 2, 4, 8, 16), "epochs": 4, "retrain_epochs": 4} | settings
    return Task(
        name="convnet",
        build=partial(_convnet, channels, images.classes, height),
        **_pictures(images, 128),
        **chosen,
    )


def resnet_task(images: Images, *, blocks: int = 3, **settings: Any) -> Task:
    """CIFAR pictures with a residual network, moved and mirrored; the size is the factor of its width."""
    chosen: dict[str, Any] = {
        "size": 1,
        "sizes": (0.5, 1, 2),
        "epochs": 14,
        "retrain_epochs": 8,
        "lr": 5e-3,
    } | settings
    return Task(
        name=f"ResNet-{6 * blocks + 2}",
        build=partial(_resnet, images.classes, blocks),
        **_pictures(images, 128, shift_and_flip()),
        **chosen,
    )


def imagenet_task(folder: Path, *, batch_size: int = 128, workers: int = 8, pixels: int = 224, **settings: Any) -> Task:
    """Pictures in folders by class, ``train`` and ``val`` (the layout of ImageNet), with ResNet-18; the size is the
    factor of its width. Training pictures are cut out at random and mirrored, and read by `workers` processes.
    """
    train = ImageFolder(folder / "train", pixels + pixels // 7)
    held_out = DataLoader(ImageFolder(folder / "val", pixels), batch_size, num_workers=workers)
    chosen: dict[str, Any] = {"size": 1, "sizes": (0.5, 1, 2), "epochs": 90, "retrain_epochs": 60} | settings
    return Task(
        name="ResNet-18",
        build=partial(_image_resnet, len(train.classes)),
        batches=partial(_folder_batches, train, batch_size, workers, pixels),
        evaluate=partial(_folder_error_rate, held_out),
        **chosen,
    )


def language_task(
    text: Characters, *, cell: str = "lstm", layers: int = 2, updates: int = 150, **settings: Any
) -> Task:
    """The next character of a text with a recurrent network; the size is its width."""
    chosen: dict[str, Any] = {"size": 96, "sizes": (32, 64, 96, 128), "epochs": 8, "retrain_epochs": 3} | settings
    chosen = {"lr": 5e-3, "retrain_lr": 2e-3} | chosen
    return Task(
        name=f"characters, {cell.upper()}",
        build=partial(_language, len(text.symbols), layers, cell),
        batches=partial(Windows, text.train, 32, 64, updates),
        evaluate=partial(bits_per_character, text.dev[:100_000]),
        test=partial(bits_per_character, text.test[:200_000]),
        metric="bits per character",
        **chosen,
    )


def _pictures(images: Images, batch_size: int, augment: Callable[..., Tensor] | None = None) -> dict[str, Any]:
    return {
        "batches": partial(_batches, images.train, batch_size, augment),
        "evaluate": partial(error_rate, images.dev),
        "test": partial(error_rate, images.test),
    }


def _batches(
    data: tuple[Tensor, Tensor], batch_size: int, augment: Callable[..., Tensor] | None, seed: int
) -> TensorBatches:
    return TensorBatches(*data, batch_size, seed, augment)


def _perceptron(inputs: int, layers: int, classes: int, size: float) -> nn.Module:
    return mlp(inputs, int(size), layers, classes)


def _convnet(channels: int, classes: int, height: int, size: float) -> nn.Module:
    return convnet(channels, int(size), classes, height)


def _resnet(classes: int, blocks: int, size: float) -> nn.Module:
    return ResNet(classes, blocks, size)


def _image_resnet(classes: int, size: float) -> nn.Module:
    return image_resnet(classes, width=size)


def _folder_batches(data: ImageFolder, batch_size: int, workers: int, pixels: int, seed: int) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(seed)
    collate = partial(_cut_and_mirrored, pixels)
    return DataLoader(
        data, batch_size, True, num_workers=workers, collate_fn=collate, drop_last=True, generator=generator
    )


def _cut_and_mirrored(pixels: int, items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """A batch whose pictures are cut to `pixels` at a random place and mirrored half of the time."""
    pictures = []
    for picture, _ in items:
        room = picture.shape[-1] - pixels
        down, right, mirrored = (int(torch.randint(n, ())) for n in (room + 1, room + 1, 2))
        part = picture[:, down : down + pixels, right : right + pixels]
        pictures.append(part.flip(-1) if mirrored else part)
    return torch.stack(pictures), torch.tensor([label for _, label in items])


def _folder_error_rate(batches: DataLoader[Any], model: nn.Module) -> float:
    home = next(model.parameters()).device
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    try:
        wrong = sum(int((model(x.to(device)).argmax(1) != y.to(device)).sum()) for x, y in batches)
    finally:
        model.to(home)
    return 100 * wrong / len(cast(Sized, batches.dataset))


def _language(classes: int, layers: int, cell: str, size: float) -> nn.Module:
    return CharLM(classes, int(size), layers, cell)


def named_task(name: str, data: Setting, **settings: Any) -> Task:
    """A task of the studies by name, one of `NAMED_TASKS`, on the data of a setting.

    Raises:
        DataError: no such task, or its data are not there.
    """
    if name not in NAMED_TASKS:
        raise DataError(f"there is no task {name!r}; there are {', '.join(NAMED_TASKS)}")
    return NAMED_TASKS[name](data, **settings)


def _mnist_task(make: Callable[..., Task], data: Setting, **settings: Any) -> Task:
    return make(_once(mnist, data.folder("mnist")), **settings)


def _cifar_task(data: Setting, **settings: Any) -> Task:
    return resnet_task(_once(cifar, data.folder("cifar10" if data.full else "cifar10_subset")), **settings)


def _cifar100_task(data: Setting, **settings: Any) -> Task:
    return resnet_task(_once(cifar, data.folder("cifar100")), **settings)


def _imagenet_task(data: Setting, **settings: Any) -> Task:
    return imagenet_task(data.folder("imagenet"), **settings)


def _text_task(cell: str, data: Setting, **settings: Any) -> Task:
    return language_task(_once(wikitext2, data.folder("wikitext2")), cell=cell, **settings)


@cache
def _once(read: Callable[[Path], Any], folder: Path) -> Any:
    """Data are read once in a process."""
    return read(folder)


NAMED_TASKS: dict[str, Callable[..., Task]] = {
    "perceptron": partial(_mnist_task, perceptron_task),
    "convnet": partial(_mnist_task, convnet_task),
    "resnet20": _cifar_task,
    "cifar100": _cifar100_task,
    "imagenet": _imagenet_task,
    "lstm": partial(_text_task, "lstm"),
    "gru": partial(_text_task, "gru"),
    "sru": partial(_text_task, "sru"),
}
"""What ``fewbit analyze`` takes beside a file of one's own."""
