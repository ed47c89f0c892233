"""Networks in files: tensors, the quantizers that belong to them, and what is needed to build them again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

from torch import nn

from fewbit.errors import FileFormatError
from fewbit.prune import head_counts, set_head_counts, take_shapes
from fewbit.quant import attach, selection_of
from fewbit.tasks.task import Task
from fewbit.train import read_tensors, write_tensors

_KEY = "fewbit_network"
Model = TypeVar("Model", bound=nn.Module, covariant=True)


@dataclass(frozen=True)
class SavedNetwork(Generic[Model]):
    """A network from a file.

    model: in evaluation mode, with its quantizers attached.
    size: what it is built from: a size of its task, or plain values such as the settings of a `SpeechRNN`.
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

    model: Model
    size: Any
    quantized: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


def save_network(path: str | Path, model: nn.Module, size: Any, recipe: dict[str, Any] | None = None) -> Path:
    """Write a network with its quantizers; the file is complete or not there.

    Args:
        path: of the file.
        model: any network, pruned ones too.
        size: what `load_network` builds it from, as plain values.
        recipe: how it came about, as plain values.

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


@overload
def load_network(path: str | Path, build: Task) -> SavedNetwork[nn.Module]: ...
@overload
def load_network(path: str | Path, build: Callable[[Any], Model]) -> SavedNetwork[Model]: ...
def load_network(path: str | Path, build: Task | Callable[[Any], Model]) -> SavedNetwork[Any]:
    """Read a network back, with its quantizers attached.

    Args:
        path: a file of `save_network`.
        build: the task of the network, or size -> untrained network.

    Raises:
        FileFormatError: the file is damaged, is not made by `save_network`, or is of another network.

    Examples:
        >>> from tempfile import mkdtemp
        >>> path = save_network(Path(mkdtemp(), "float"), nn.Linear(3, 2), [3, 2])
        >>> load_network(path, lambda size: nn.Linear(*size)).model
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
        fresh = build.new(0, about["size"]) if isinstance(build, Task) else build(about["size"])
        model = take_shapes(fresh, tensors)
        set_head_counts(model, about.get("heads", {}))
        if about["quantized"] is not None:
            attach(model, **about["quantized"])
        model.load_state_dict(tensors)
        saved = SavedNetwork(cast(Model, model.eval()), about["size"], about["quantized"], about["recipe"])
    except (RuntimeError, ValueError, KeyError, TypeError, LookupError) as error:
        maker = f"task {build.name!r}" if isinstance(build, Task) else getattr(build, "__qualname__", "the builder")
        raise FileFormatError(
            f"{path}: the file does not fit the network that {maker} builds now: "
            f"{' '.join(str(error).split())}; train it again"
        ) from error
    return saved
