"""A task: a network that can be built in several sizes, with its data and its measure.

It is what the command line trains, compresses and packs, and what an analysis works on; it comes from a Python file.
"""

import importlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import torch
from torch import nn

from fewbit.errors import ArgumentError, DataError
from fewbit.inference import inference_mode
from fewbit.passes import Finetune
from fewbit.train import CrossEntropy, Objective, OptimizerFactory, Schedule


@dataclass(frozen=True)
class Task:
    """A network that can be built in several sizes, the batches it learns from, and how wrong it is.

    Args:
        name: what it is called in tables and pictures.
        build: size -> untrained network. The size is what you like: units, feature maps, a width factor; a whole
            number comes as `int`.
        batches: seed -> training batches.
        evaluate: network in eval mode -> metric on held-out data, *smaller is better* (error rate, bits per
            character). Choices are made by it.
        size: the network that is meant when no size is given.
        sizes: sizes for studies of size, smallest first.
        metric: name and unit of what `evaluate` gives.
        test: like `evaluate`, on data that no choice has seen; default `evaluate`.
        objective: what float training minimises.
        retrain_objective: what retraining minimises; default `objective`.
        epochs, lr: of float training.
        optimizer, schedule: of float training, as in `Finetune`; default AdamW without weight decay, half a cosine.
        retrain_epochs, retrain_lr: of retraining after quantization.
        network: gives the trained float network, where you have one already; else it is trained from `build`.
        packing: arguments of `fewbit.pack` beside the model and the recipe, such as ``alphabet``; without ``features``
            the network is packed with its batches as the example.

    Examples:
        >>> import torch
        >>> x = torch.randn(32, 3)
        >>> y = (x[:, 0] > 0).long()
        >>> task = Task(
        ...     name="sign",
        ...     build=lambda size: nn.Linear(3, 2),
        ...     batches=lambda seed: [(x, y)] * 4,
        ...     evaluate=lambda model: 100 * float((model(x).argmax(1) != y).float().mean()),
        ...     size=1,
        ...     lr=0.1,
        ... )
        >>> task.measure(task.trained(seed=0)) < 20
        True
    """

    name: str
    build: Callable[[Any], nn.Module]
    batches: Callable[[int], Iterable[Any]]
    evaluate: Callable[[nn.Module], float]
    size: float
    sizes: tuple[float, ...] = ()
    metric: str = "error (%)"
    test: Callable[[nn.Module], float] | None = None
    objective: Objective = field(default_factory=CrossEntropy)
    retrain_objective: Objective | None = None
    epochs: int = 10
    lr: float = 2e-3
    retrain_epochs: int = 5
    retrain_lr: float = 1e-3
    optimizer: OptimizerFactory | None = None
    schedule: Schedule | None = None
    network: Callable[[], nn.Module] | None = None
    packing: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("build", "batches", "evaluate", "test", "network"):
            value = getattr(self, name)
            if not callable(value) and (value is not None or name in ("build", "batches", "evaluate")):
                raise ArgumentError(f"Task {self.name!r}: {name} is {type(value).__name__}; wanted a function")
        for size in (self.size, *self.sizes):
            check_size(size, f"Task {self.name!r}: size")

    def new(self, seed: int, size: float | None = None) -> nn.Module:
        """An untrained network."""
        torch.manual_seed(seed)
        wanted = self.size if size is None else size
        return self.build(int(wanted) if float(wanted).is_integer() else wanted)

    def trained(self, seed: int, size: float | None = None, **changes: Any) -> nn.Module:
        """A float network: a copy of the one you have, where there is one and no size is asked for, else trained
        from scratch; `changes` are settings of `Finetune`.
        """
        if self.network is not None and size is None and not changes:
            return deepcopy(self.network())
        return self.training(seed, **changes)(self.new(seed, size))

    def training(self, seed: int, **changes: Any) -> Finetune:
        """The pass that trains a float network; `changes` are settings of `Finetune`."""
        settings = {
            "objective": self.objective,
            "epochs": self.epochs,
            "lr": self.lr,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }
        return self.retraining(seed, **(settings | changes))

    def retraining(self, seed: int, **changes: Any) -> Finetune:
        """The pass that retrains for this task; `changes` are settings of `Finetune`."""
        settings = {"epochs": self.retrain_epochs, "lr": self.retrain_lr} | changes
        plain = Finetune(self.batches(seed), self.retrain_objective or self.objective, 1, seed=seed, progress=False)
        return replace(plain, **settings)

    def measure(self, model: nn.Module) -> float:
        """The metric by which choices are made."""
        return _measure(self.evaluate, model)

    def score(self, model: nn.Module) -> float:
        """The metric on test data."""
        return _measure(self.test or self.evaluate, model)


def check_size(size: Any, where: str) -> None:
    """Refuse a size that is no number above 0; raises `ArgumentError`."""
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf:
        raise ArgumentError(f"{where}: saw {size!r}; wanted a number above 0")


def load_task(source: str) -> Task:
    """The task that `source` names: ``file.py`` or ``file.py:name``, ``package.module:name``; the name is ``task``
    where none is given.

    Raises:
        DataError: the file or module is not there, fails, or has no such task.

    Examples:
        >>> load_task("fewbit.demo.digits").name
        'digits'
    """
    drive = source[:2] if source[1:2] == ":" else ""  # Windows
    where, _, name = source[len(drive) :].partition(":")
    where = drive + where
    name = name or "task"
    path = Path(where)
    if path.is_dir():
        raise DataError(f"{where} is a folder; wanted a Python file, or a module that defines {name!r}")
    try:
        if path.suffix == ".py":
            if not path.is_file():
                raise DataError(f"{where}: there is no such file; wanted a Python file that defines {name!r}")
            spec = importlib.util.spec_from_file_location(f"fewbit_task_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            _pickle_by_value(module)
            sys.path.insert(0, str(path.parent))
            try:
                spec.loader.exec_module(module)
            finally:
                sys.path.remove(str(path.parent))
        else:
            sys.path.insert(0, str(Path.cwd()))
            try:
                module = importlib.import_module(where)
            finally:
                sys.path.remove(str(Path.cwd()))
    except DataError:
        raise
    except Exception as error:  # whatever a user's file may raise
        hint = f"; did you mean {where}.py?" if Path(f"{where}.py").is_file() else ""
        raise DataError(f"{where}: cannot be imported: {told(error)}{hint}") from error
    known = [key for key, value in vars(module).items() if isinstance(value, Task)]
    if not hasattr(module, name):
        raise DataError(f"{where}: there is no {name!r} in it; it defines {', '.join(known) if known else 'no tasks'}")
    found = getattr(module, name)
    try:
        task = found() if callable(found) and not isinstance(found, Task) else found
    except Exception as error:  # whatever a user's function may raise
        raise DataError(f"{where}: {name}() failed: {told(error)}") from error
    if not isinstance(task, Task):
        raise DataError(f"{where}: {name!r} is {type(task).__name__}, wanted a fewbit.tasks.Task")
    return task


def fingerprint(task: Task, measured: bool = False) -> str:
    """Tells a task from an edited one of the same name: by its new network (or the one it has) and its first batch,
    and with `measured` by its measure of that network too.

    Examples:
        >>> x, y = torch.zeros(4, 3), torch.zeros(4).long()
        >>> def task(units: int) -> Task:
        ...     build, batches = (lambda size: nn.Linear(3, size)), (lambda seed: [(x, y)])
        ...     return Task("one", build, batches, lambda model: 0.0, size=units)
        >>> fingerprint(task(2)) == fingerprint(task(2)), fingerprint(task(2)) == fingerprint(task(3))
        (True, False)
    """
    model = task.new(0) if task.network is None else task.trained(0)
    total = crc32(str(model).encode())
    batch = next(iter(task.batches(0)), ())
    parts = batch if isinstance(batch, tuple | list) else (batch,)
    for tensor in [*model.state_dict().values(), *parts]:
        if isinstance(tensor, torch.Tensor) and tensor.numel():
            total = crc32(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes(), total)
    if measured:
        total = crc32(repr(task.measure(model)).encode(), total)
    return f"{total:08x}"


def _pickle_by_value(module: ModuleType) -> None:
    """Let worker processes get a task of a file, which they cannot import."""
    if importlib.util.find_spec("cloudpickle") is not None:
        import cloudpickle  # comes with loky

        cloudpickle.register_pickle_by_value(module)


def told(error: Exception) -> str:
    """An error with the place in a file where it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else place}"


def _measure(evaluate: Callable[[nn.Module], float], model: nn.Module) -> float:
    with inference_mode(model):
        return float(evaluate(model))
