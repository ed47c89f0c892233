"""How a study is run: seeds, folders, and whether small or at the published size."""

import os
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fewbit.analysis.task import Task
from fewbit.analysis.trials import Executor, process_executor
from fewbit.errors import DataError
from fewbit.train import read_tensors, write_tensors


@dataclass(frozen=True)
class Setting:
    """Where and how a study runs.

    Args:
        out: folder for the study's JSON and pictures.
        cache: folder for rows of sweeps and trained networks; a stopped study goes on from there.
        seeds: at least three for a figure with a spread.
        data: folder with the data sets; default the environment variable ``FEWBIT_DATA``.
        full: the published setting; hours on a GPU.
        workers: processes that share the trials.
        progress: whether progress bars are shown.
    """

    out: Path
    cache: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    data: Path | None = None
    full: bool = False
    workers: int = 1
    progress: bool = True

    def folder(self, name: str) -> Path:
        """The folder of a data set.

        Raises:
            DataError: it is not there.
        """
        root = self.data or (Path(os.environ["FEWBIT_DATA"]) if os.environ.get("FEWBIT_DATA") else None)
        if root is None or not (root / name).is_dir():
            raise DataError(
                f"{'no folder of data' if root is None else root / name}: this study needs the data set {name!r}; "
                "give --data FOLDER or set FEWBIT_DATA to the folder that holds it"
            )
        return root / name

    @property
    def executor(self) -> Executor | None:
        """Where trials run."""
        return process_executor(self.workers) if self.workers > 1 else None

    def network(self, task: Task, seed: int, size: float | None = None) -> nn.Module:
        """The float network of a task, trained once and kept in the cache for all studies."""
        width = task.size if size is None else size
        schedule = f"e{task.epochs}-r{task.rate:g}"
        path = self.cache / "float" / f"{task.name}-{width:g}-{schedule}-s{seed}.safetensors".replace(" ", "-")
        if path.is_file():
            model = task.new(seed, size)
            model.load_state_dict(read_tensors(path)[0])
            return model
        model = task.trained(seed, size)
        write_tensors(path, model.state_dict(), {})
        return model

    def rows(self, study: str) -> Path:
        """The file of a study's sweep; small and full runs are kept apart."""
        return self.cache / f"{study}{'-full' if self.full else ''}.jsonl"
