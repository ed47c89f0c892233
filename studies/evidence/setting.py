"""How a study is run: seeds, folders, and whether small or at the published size."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fewbit.analysis.float_store import kept_network
from fewbit.analysis.trials import FAILED, Executor, Trial, process_executor, sweep
from fewbit.errors import DataError
from fewbit.tasks import Task
from studies.evidence.rows import SealedRows


@dataclass(frozen=True)
class Setting:
    """Where and how a study runs.

    Args:
        out: folder for the study's JSON and pictures.
        cache: folder for rows of sweeps and trained networks; an interrupted study resumes from it.
        seeds: independent repetitions; `studies.registry.usual_seeds` says how many a study has.
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

    def sweep(self, trial: Trial, configs: Sequence[dict[str, Any]], rows: str, title: str) -> SealedRows:
        """`fewbit.analysis.sweep` where and how this setting says; test figures come when all choices are made.

        Raises:
            DataError: a run gave no figures, so the study has none either; what worked is kept.
        """
        found = sweep(trial, configs, out=self.rows(rows), executor=self.executor, progress=self.progress, title=title)
        lost = [row for row in found if FAILED in row]
        if lost:
            raise DataError(f"{title}: {len(lost)} of {len(found)} runs failed, the first with {lost[0][FAILED]}")
        return SealedRows(found, title)

    def network(self, task: Task, seed: int, size: float | None = None) -> nn.Module:
        """The float network of a task, trained once and kept in the cache for all studies."""
        return kept_network(self.cache / "float", task, seed, size)

    def rows(self, study: str) -> Path:
        """The file of a study's sweep; small and full runs are kept apart."""
        return self.cache / f"{study}{'-full' if self.full else ''}.jsonl"
