"""Float networks that many trials start from: trained once, kept in a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from fewbit.tasks import Task
from fewbit.train import read_tensors, write_tensors

Network = Callable[[Task, int, float], nn.Module]
"""(task, seed, size) -> trained float network."""


def kept_network(folder: Path, task: Task, seed: int, size: float | None = None) -> nn.Module:
    """The float network of a size and a seed, trained if it is not in `folder` yet."""
    if task.network is not None and size is None:
        return task.trained(seed)
    width = task.size if size is None else size
    name = f"{task.name}-{width:g}-e{task.epochs}-r{task.lr:g}-s{seed}".replace(" ", "-")
    path = folder / f"{name}.safetensors"
    if path.is_file():
        model = task.new(seed, size)
        model.load_state_dict(read_tensors(path)[0])
        return model
    model = task.trained(seed, size)
    write_tensors(path, model.state_dict(), {})
    return model


@contextmanager
def store_beside(out: str | Path | None) -> Iterator[Path]:
    """A folder for float networks: beside the rows of a sweep, or a temporary one if there is no `out`."""
    if out is not None:
        yield Path(out).with_suffix("")
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)
