"""Floor 4: how many bits a network needs, and where."""

import fewbit.torch_side  # noqa: F401
from fewbit.analysis.compression_ratio import Capacity, Design, Ratio, capacity
from fewbit.analysis.flatness import Sharpness, sharpness
from fewbit.analysis.monotone_curve import MonotoneCurve, fit_monotone
from fewbit.analysis.report import Report, Table, save_report
from fewbit.analysis.size_resilience import Resilience, SizedNetwork, resilience
from fewbit.analysis.surface_grid import LossSurface, SurfacePoint, loss_surface
from fewbit.analysis.trials import Executor, grid, process_executor, ray_executor, sweep
from fewbit.analysis.task import Task, load_task
from fewbit.analysis.weight_memory import stored_bytes

__all__ = [
    "Capacity",
    "Design",
    "Executor",
    "LossSurface",
    "MonotoneCurve",
    "Ratio",
    "Report",
    "Resilience",
    "Sharpness",
    "SizedNetwork",
    "SurfacePoint",
    "Table",
    "Task",
    "capacity",
    "fit_monotone",
    "grid",
    "load_task",
    "loss_surface",
    "process_executor",
    "ray_executor",
    "resilience",
    "save_report",
    "sharpness",
    "stored_bytes",
    "sweep",
]
