"""MNIST with few training pictures: trains in a second, and leaves room for methods that help to generalise."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from fewbit.data import Images, TensorBatches, mnist
from fewbit.tasks import Task
from studies.evidence.setting import Setting
from studies.tasks.named import perceptron_task


def few_images_task(
    setting: Setting,
    count: int,
    batch_size: int = 32,
    make: Callable[..., Task] = perceptron_task,
    **settings: Any,
) -> Task:
    """A task of pictures with the first `count` training pictures of MNIST, and its whole dev and test sets.

    Raises:
        DataError: the data are not there.
    """
    images = _first(setting.folder("mnist"), count)
    task = make(images, **settings)
    batches = partial(TensorBatches, *images.train, batch_size)
    return replace(task, name=f"{task.name} on {count} pictures", batches=batches)


@cache
def _first(folder: Path, count: int) -> Images:
    images = mnist(folder)  # the training part is in random order
    x, y = images.train
    return replace(images, train=(x[:count].clone(), y[:count].clone()))
