"""Networks of a task in files: tensors, and the quantizers that belong to them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from fewbit.errors import FileFormatError
from fewbit.prune import head_counts, set_head_counts, take_shapes
from fewbit.quant import attach, selection_of
from fewbit.tasks.task import Task
from fewbit.train import read_tensors, write_tensors

_KEY = "fewbit_task"


@dataclass(frozen=True)
class SavedNetwork:
    """A network from a file.

    quantized: the arguments `weights` and `activations` of `fewbit.attach`, or ``None`` for a float network.
    recipe: how the network came about, as plain values.

    Examples:
        >>> from tempfile import mkdtemp
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [], lambda model: 0.0, size=1)
        >>> path = save_network(Path(mkdtemp(), "float"), task.new(0), task.size, {"seed": 0})
        >>> saved = load_network(path, task)
        >>> saved.quantized is None, saved.recipe
        (True, {'seed': 0})
    """

    model: nn.Module
    size: float
    quantized: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


def save_network(path: str | Path, model: nn.Module, size: float, recipe: dict[str, Any] | None = None) -> Path:
    """Write a network with its quantizers; the file is complete or not there.

    Examples:
        >>> from tempfile import mkdtemp
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [], lambda model: 0.0, size=1)
        >>> path = save_network(Path(mkdtemp(), "float"), task.new(0), task.size, {"seed": 0})
        >>> path.name
        'float'
    """
    found = selection_of(model)
    quantized = found if any(found.values()) else None
    # The order of patterns matters: keys are not sorted.
    about = {"size": size, "quantized": quantized, "recipe": recipe or {}, "heads": head_counts(model)}
    write_tensors(path, model.state_dict(), {_KEY: json.dumps(about)})
    return Path(path)


def load_network(path: str | Path, task: Task) -> SavedNetwork:
    """Read a network of `task` back, with its quantizers attached.

    Raises:
        FileFormatError: the file is damaged, is not made by `save_network`, or is of another task.

    Examples:
        >>> from tempfile import mkdtemp
        >>> task = Task("one", lambda size: nn.Linear(3, 2), lambda seed: [], lambda model: 0.0, size=1)
        >>> path = save_network(Path(mkdtemp(), "float"), task.new(0), task.size, {"seed": 0})
        >>> load_network(path, task).model
        Linear(in_features=3, out_features=2, bias=True)
    """
    if not Path(path).is_file():
        seen = "is a folder" if Path(path).is_dir() else "there is no such file"
        raise FileFormatError(f"{path}: {seen}; wanted a network saved by fewbit train or fewbit compress")
    tensors, metadata = read_tensors(path)
    if _KEY not in metadata:
        raise FileFormatError(f"{path}: not a network saved by fewbit train or fewbit compress")
    try:
        about = json.loads(metadata[_KEY])
        model = take_shapes(task.new(0, about["size"]), tensors)
        set_head_counts(model, about.get("heads", {}))
        if about["quantized"] is not None:
            attach(model, **about["quantized"])
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError, KeyError, TypeError, LookupError) as error:
        raise FileFormatError(
            f"{path}: the file does not fit the network that task {task.name!r} builds now: "
            f"{' '.join(str(error).split())}; train it again"
        ) from error
    return SavedNetwork(model.eval(), about["size"], about["quantized"], about["recipe"])
