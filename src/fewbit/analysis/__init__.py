"""Floor 4: how many bits a network needs, and where."""

import fewbit.torch_side  # noqa: F401
from fewbit.analysis.report import Report, Table, save_report
from fewbit.analysis.sweep import Executor, grid, process_executor, ray_executor, sweep
from fewbit.analysis.task import Task, load_task

__all__ = [
    "Executor",
    "Report",
    "Table",
    "Task",
    "grid",
    "load_task",
    "process_executor",
    "ray_executor",
    "save_report",
    "sweep",
]
