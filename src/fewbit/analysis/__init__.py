"""How many bits a network needs, and where."""

import fewbit.torch_side  # noqa: F401
from fewbit.analysis.bit_assignment import BitAssignment, Candidate, assign_bits, uniform_bytes
from fewbit.analysis.bit_combinations import BitCell, BitGrid, bit_grid
from fewbit.analysis.compression_ratio import Capacity, Design, Ratio, capacity
from fewbit.analysis.design_choice import DesignChoice, NetworkDesign, choose_design
from fewbit.analysis.error_maps import ErrorMap, ErrorMaps, map_errors
from fewbit.analysis.flatness import Sharpness, sharpness
from fewbit.analysis.layer_noise import LayerNoise, noise_gain, time_gain
from fewbit.analysis.monotone_curve import MonotoneCurve, fit_monotone
from fewbit.analysis.multiplication_count import multiplications
from fewbit.analysis.network_interior import InnerLayers, inner_layers
from fewbit.analysis.pareto import pareto_front
from fewbit.analysis.pruned_networks import pruning
from fewbit.analysis.pruning_report import PrunedNetwork, PrunedPoint, Pruning, pruning_recipe
from fewbit.analysis.report import Report, Table, save_report
from fewbit.analysis.size_resilience import Resilience, SizedNetwork, resilience
from fewbit.analysis.surface_grid import LossSurface, SurfacePoint, loss_surface
from fewbit.analysis.token_confidence import JudgedToken, TeacherConfidence, teacher_confidence
from fewbit.analysis.trials import Executor, grid, process_executor, ray_executor, sweep
from fewbit.analysis.weight_memory import stored_bytes
from fewbit.analysis.weight_sensitivity import QuantizedGroup, Sensitivity, sensitivity

__all__ = [
    "BitAssignment",
    "BitCell",
    "BitGrid",
    "Candidate",
    "Capacity",
    "Design",
    "DesignChoice",
    "ErrorMap",
    "ErrorMaps",
    "Executor",
    "InnerLayers",
    "JudgedToken",
    "LayerNoise",
    "LossSurface",
    "MonotoneCurve",
    "NetworkDesign",
    "PrunedNetwork",
    "PrunedPoint",
    "Pruning",
    "QuantizedGroup",
    "Ratio",
    "Report",
    "Resilience",
    "Sensitivity",
    "Sharpness",
    "SizedNetwork",
    "SurfacePoint",
    "Table",
    "TeacherConfidence",
    "assign_bits",
    "bit_grid",
    "capacity",
    "choose_design",
    "fit_monotone",
    "grid",
    "inner_layers",
    "loss_surface",
    "map_errors",
    "multiplications",
    "noise_gain",
    "pareto_front",
    "process_executor",
    "pruning",
    "pruning_recipe",
    "ray_executor",
    "resilience",
    "save_report",
    "sensitivity",
    "sharpness",
    "stored_bytes",
    "sweep",
    "teacher_confidence",
    "time_gain",
    "uniform_bytes",
]
