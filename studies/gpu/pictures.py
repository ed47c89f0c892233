"""Every arm of the study of ResNet-20 on a GPU: one network a job, with its pictures on the GPU."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fewbit.analysis import stored_bytes
from fewbit.data import Images, cifar
from fewbit.passes import SQWA, Finetune, Pass, compress
from fewbit.tasks import Task
from fewbit.train import Objective
from studies.gpu.device import allow_tf32, device, measured_there
from studies.gpu.graph_losses import graph_loss
from studies.gpu.graphed import Graphed
from studies.gpu.rows import Tell
from studies.gpu.stopwatch import Stopwatch
from studies.methods.resnet20 import ARMS, FULL, LR, TAUGHT, Scale, float_network, recipe
from studies.tasks import resnet_task
from studies.tasks.named import error_rate

NAMES = ARMS | TAUGHT
TRIED = ("float", "float, retrained + KD", "retrained", "+ KD", "retrained, 2-bit signals", "+ SPEQ")
"""Arms that a trial times; the others cost what one of these costs."""
ALIKE = {"float, retrained": "float", "+ SQWA": "retrained"}


def scale_of(epochs: int) -> Scale:
    """`epochs` for float training and as many for retraining, divided by SQWA as in the published setting."""
    cycles = FULL.cycles if epochs >= 2 * FULL.cycles else 1
    each = max(1, round(epochs * FULL.cycle_epochs / FULL.retrain))
    warmup = epochs * FULL.warmup // FULL.retrain
    return Scale(epochs, epochs, warmup, cycles, each, epochs - warmup - cycles * each)


def arm(
    tell: Tell, *, seed: int, arm: str, epochs: int, networks: str, graphs: bool = True, small: bool = False
) -> None:
    """Train one network and measure it.

    Args:
        networks: folder in which the float network of a seed is kept, once it is trained.
        graphs: whether steps may be CUDA graphs.
    """
    allow_tf32()
    images = pictures(small)
    task, scale = task_of(images, small, epochs, graphs), scale_of(epochs)
    teacher = float_network(task, seed, Path(networks) / f"resnet20-e{epochs}-s{seed}.safetensors")
    passes, watched = graphed(recipe(arm, task, scale, seed, teacher), graphs)
    model = compress(teacher, *passes)
    train = replace(task, evaluate=partial(measured_there, partial(error_rate, images.train)))
    errors = {"train": train.measure(model), "dev": task.measure(model), "test": task.score(model)}
    row = {"kind": "resnet20", "seed": seed, "arm": arm, "epochs": epochs, "graphed": used([task.objective, *watched])}
    tell(row | errors | {"bytes": stored_bytes(model)})


def trial(tell: Tell, *, arm: str, begin: float, end: float, small: bool = False) -> None:
    """Seconds for a step of an arm between two times, while other processes run theirs."""
    allow_tf32()
    task = task_of(pictures(small), small, 2, graphs=True)
    teacher = task.new(0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    watch = Stopwatch(task.batches(0), begin, end)
    given = [task.retraining(0)] if arm == "float" else recipe(arm, task, scale_of(2), 0, teacher)
    passes, watched = graphed(given, graphs=True)
    last = passes.pop()
    assert isinstance(last, Finetune)
    compress(teacher, *passes, replace(last, batches=watch, epochs=1))
    row = {"kind": "trial", "part": arm, "group": "resnet20", "graphed": used(watched)}
    tell(row | {"seconds": watch.seconds(), "updates": len(task.batches(0))})  # type: ignore[arg-type]


def graphed(passes: Sequence[Pass], graphs: bool) -> tuple[list[Pass], list[Objective]]:
    """The passes with steps as graphs where that can be, and their objectives."""
    found: list[Pass] = []
    objectives: list[Objective] = []
    for one in passes:
        if isinstance(one, Finetune | SQWA):
            if graphs and graph_loss(one.objective) is not None:
                one = replace(one, objective=Graphed(one.objective))
            objectives.append(one.objective)
        found.append(one)
    return found, objectives


def used(objectives: Sequence[Objective]) -> bool:
    """Whether a graph was captured and equal to a plain step, and none was not."""
    tried = [one.equal for one in objectives if isinstance(one, Graphed) and one.equal is not None]
    return bool(tried) and all(tried)


def task_of(images: Images, small: bool, epochs: int, graphs: bool) -> Task:
    """The task of the study, trained and measured on the GPU."""
    task = resnet_task(images, blocks=1 if small else 3, epochs=epochs, lr=LR, retrain_epochs=epochs)
    assert task.test is not None
    there = {name: partial(measured_there, getattr(task, name)) for name in ("evaluate", "test")}
    objective: Objective = Graphed(task.objective) if graphs else task.objective
    return replace(task, **there, objective=objective)  # type: ignore[arg-type]


def pictures(small: bool) -> Images:
    """The subset of CIFAR-10 on the GPU, or noise where only the path is tested."""
    if small:
        torch.manual_seed(0)
        train, dev, test = ((torch.randn(n, 3, 32, 32), torch.randint(10, (n,))) for n in (48, 16, 16))
        images = Images(train, dev, test, 10)
    else:
        images = cifar(Path(os.environ["FEWBIT_DATA"]) / "cifar10_subset")

    def there(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return data[0].to(device()), data[1].to(device())

    return Images(there(images.train), there(images.dev), there(images.test), images.classes)
