"""The three steps on files: train -> compress -> pack."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fewbit import passes
from fewbit.errors import ArgumentError, DataError, FewbitError, LoweringError
from fewbit.lower import pack as pack_model
from fewbit.tasks.network_file import load_network, save_network
from fewbit.tasks.task import Task, check_size, told


@dataclass(frozen=True)
class Measured:
    """A network in a file, and how wrong it is.

    held_out: the metric of the task on the data by which choices are made.
    test: the metric on data that no choice has seen; ``None`` where the task has none.

    Examples:
        >>> import torch
        >>> from tempfile import mkdtemp
        >>> from torch import nn
        >>> x, y = torch.randn(32, 3), torch.randint(0, 2, (32,))
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [(x, y)], lambda model: 0.0, size=1)
        >>> folder = Path(mkdtemp())
        >>> found = train(task, folder / "float", epochs=1, progress=False)
        >>> found.path.name, found.metric, found.held_out
        ('float', 'error (%)', 0.0)
    """

    path: Path
    metric: str
    held_out: float
    test: float | None


def train(
    task: Task,
    out: str | Path,
    *,
    size: float | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    **changes: Any,
) -> Measured:
    """Train the float network of `task` and save it.

    Args:
        task: the network, its data and its measure.
        out: file for the network.
        size: of the network; default the task's own.
        seed: of all randomness.
        checkpoint: a file that is written after each epoch; if it exists, training resumes from it.
        changes: settings of `fewbit.Finetune`, such as ``epochs``.

    Examples:
        >>> import torch
        >>> from tempfile import mkdtemp
        >>> from torch import nn
        >>> x, y = torch.randn(32, 3), torch.randint(0, 2, (32,))
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [(x, y)], lambda model: 0.0, size=1)
        >>> folder = Path(mkdtemp())
        >>> train(task, folder / "float", epochs=1, progress=False).path.is_file()
        True
    """
    check_target(out)
    size = task.size if size is None else size
    check_size(size, "size")
    given = {"checkpoint": checkpoint, "progress": True, "title": "float training"} | changes
    with user_code(task, "build"):
        model = task.new(seed, size)
    if not isinstance(model, nn.Module):
        raise DataError(f"task {task.name!r}: build gave {type(model).__name__}; wanted a torch.nn.Module")
    with user_code(task, "training"):
        task.training(seed, **given)(model)
    return _measured(task, save_network(out, model, size, {"task": task.name, "size": size, "seed": seed}), model)


def compress(
    task: Task,
    model: str | Path,
    out: str | Path,
    how: passes.Recipe | None = None,
    *,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> Measured:
    """Compress a float network made by `train`.

    Args:
        task: as in `train`.
        model: file of the float network; it is also the teacher.
        out: file for the compressed network.
        how: the passes; default `compression` of the task.
        seed, checkpoint: as in `train`.

    Examples:
        >>> import torch
        >>> from tempfile import mkdtemp
        >>> from torch import nn
        >>> x, y = torch.randn(32, 3), torch.randint(0, 2, (32,))
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [(x, y)], lambda model: 0.0, size=1)
        >>> folder = Path(mkdtemp())
        >>> saved = train(task, folder / "float", epochs=1, progress=False)
        >>> how = compression(task, epochs=0)  # direct quantization
        >>> compress(task, saved.path, folder / "ternary", how).path.name
        'ternary'
    """
    check_target(out)
    teacher = load_network(model, task)
    if teacher.quantized is not None:
        raise ArgumentError(f"{model}: the network is quantized already; give the float network of fewbit train")
    how = how or compression(task)
    with user_code(task, "batches"):
        batches = task.batches(seed)
    objective = task.retrain_objective or task.objective
    steps = how.passes(
        batches=batches,
        objective=objective,
        teacher=teacher.model,
        score=task.measure,
        seed=seed,
        checkpoint=checkpoint,
    )
    with user_code(task, "compression"):
        student = passes.compress(teacher.model, *steps)
    recipe = teacher.recipe | how.to_dict() | {"seed": seed}
    return _measured(task, save_network(out, student, teacher.size, recipe), student)


def pack(task: Task, model: str | Path, out: str | Path, *, seed: int = 0) -> Path:
    """Pack a compressed network made by `compress` into a ``*.fewbit`` file.

    Raises:
        LoweringError: the network is float, or a part of it has no integer form.

    Examples:
        >>> import torch
        >>> from tempfile import mkdtemp
        >>> from torch import nn
        >>> x, y = torch.randn(32, 3), torch.randint(0, 2, (32,))
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [(x, y)], lambda model: 0.0, size=1)
        >>> folder = Path(mkdtemp())
        >>> saved = train(task, folder / "float", epochs=1, progress=False)
        >>> saved = compress(task, saved.path, folder / "ternary", compression(task, epochs=0))
        >>> pack(task, saved.path, folder / "one.fewbit").stat().st_size < 4096
        True
    """
    check_target(out)
    saved = load_network(model, task)
    if saved.quantized is None:
        raise LoweringError(f"{model}: the network is float; run fewbit compress first")
    with user_code(task, "batches"):
        given = dict(task.packing)
        if "features" not in given:  # a network behind a front end is a chain, which needs none
            given.setdefault("example", task.batches(seed))
    return pack_model(saved.model, **given, recipe=saved.recipe).save(out)


def compression(
    task: Task,
    weights: str | Mapping[str, str] = "ternary",
    activations: str = "int8",
    *,
    epochs: int | None = None,
    temperature: float = 2.0,
) -> passes.Recipe:
    """Direct quantization, then retraining with the float network as the teacher, whose part falls from 1 to 0.

    A task whose objective cannot be mixed with a teacher's labels (`fewbit.train.HardLoss`) is retrained with its
    objective alone.

    Args:
        task: epochs and learning rate of the retraining.
        weights, activations: formats; patterns of weights may have formats of their own; "float" leaves signals as
            they are.
        epochs: default those of the task; 0 is direct quantization.
        temperature: of the teacher's labels.

    Examples:
        >>> from torch import nn
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [], lambda model: 0.0, size=1)
        >>> [step["kind"] for step in compression(task, {"head": "int8", "*": "ternary"}).steps]
        ['Quantize', 'Finetune']
    """
    chosen = dict(weights) if isinstance(weights, Mapping) else weights
    steps: list[dict[str, Any]] = [{"kind": "Quantize", "weights": chosen}]
    if activations != "float":
        steps[0]["activations"] = activations
    epochs = task.retrain_epochs if epochs is None else epochs
    if epochs:
        retraining: dict[str, Any] = {"epochs": epochs, "lr": task.retrain_lr, "title": "retraining"}
        if hasattr(task.retrain_objective or task.objective, "loss"):
            weight = {"from": 1.0, "to": 0.0}
            retraining["objective"] = {"kind": "LogitKD", "temperature": temperature, "weight": weight}
        steps.append({"kind": "Finetune", **retraining})
    return passes.Recipe.from_dict({"passes": steps})


def check_target(path: str | Path) -> None:
    """Refuse a file that cannot be written, before the work is done; raises `ArgumentError`."""
    if Path(path).is_dir():
        raise ArgumentError(f"{path} is a folder; name a file to write")
    parent = next(folder for folder in Path(path).absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ArgumentError(f"{path}: {parent} is not a folder that can be written to; name another file")


@contextmanager
def user_code(task: Task, part: str) -> Iterator[None]:
    """Say of which part of a task an error is that fewbit does not know; raises `DataError`."""
    try:
        yield
    except (FewbitError, OSError):
        raise
    except Exception as error:  # whatever a user's code may raise
        text = " ".join(told(error).split())
        raise DataError(f"task {task.name!r}: {part} failed: {text}; --debug shows the traceback") from error


def _measured(task: Task, path: Path, model: Any) -> Measured:
    with user_code(task, f"the network is in {path}, but its evaluation"):
        held_out = task.measure(model)
        tested = None if task.test is None else task.score(model)
    for value in (held_out, tested):
        if value is not None and math.isnan(value):
            raise DataError(f"task {task.name!r}: the network is in {path}, but its evaluation gave NaN")
    return Measured(path, task.metric, held_out, tested)
