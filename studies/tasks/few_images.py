"""MNIST with few training pictures: trains in a second, and leaves room for methods that help to generalise."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from fewbit.data import Images, TensorBatches, mnist
from fewbit.errors import DataError
from fewbit.tasks import Task
from studies.evidence.setting import Setting
from studies.tasks.named import perceptron_task


def few_images_task(
    setting: Setting,
    count: int,
    seed: int,
    batch_size: int = 32,
    make: Callable[..., Task] = perceptron_task,
    **settings: Any,
) -> Task:
    """A task of pictures with `count` training pictures of MNIST, and its whole dev and test sets.

    Seeds share no training picture, so that what differs between them is all that a repetition would change.

    Raises:
        DataError: the data are not there, or hold no `count` pictures for this seed.
    """
    images = _part(setting.folder("mnist"), count, seed)
    task = make(images, **settings)
    batches = partial(TensorBatches, *images.train, batch_size)
    return replace(task, name=f"{task.name} on {count} pictures", batches=batches)


@cache
def _part(folder: Path, count: int, seed: int) -> Images:
    images = _whole(folder)  # the training part is in random order
    x, y = images.train
    mine = slice(seed * count, (seed + 1) * count)
    if len(x[mine]) < count:
        raise DataError(f"seed {seed}: MNIST has {len(x)} training pictures, and each seed has {count} of its own")
    return replace(images, train=(x[mine].clone(), y[mine].clone()))


@cache
def _whole(folder: Path) -> Images:
    return mnist(folder)
