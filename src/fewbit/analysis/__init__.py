"""Floor 5: how many bits a network needs, and where."""

import fewbit.torch_side  # noqa: F401
from fewbit.analysis.sweep import grid, process_executor, ray_executor, sweep
from fewbit.analysis.task import Task, load_task

__all__ = ["Task", "grid", "load_task", "process_executor", "ray_executor", "sweep"]
