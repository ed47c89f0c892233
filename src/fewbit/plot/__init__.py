"""Pictures (matplotlib, the extra ``plot``).

Names are loaded when first used: pictures of packed networks need no torch, most others do.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fewbit.errors import MissingExtraError

if find_spec("matplotlib") is None:
    raise MissingExtraError.for_extra("plot", "pictures need matplotlib")

if TYPE_CHECKING:
    from fewbit.plot.arms import plot_arms as plot_arms
    from fewbit.plot.bit_combinations import plot_bit_grid as plot_bit_grid
    from fewbit.plot.capacities import plot_capacity as plot_capacity
    from fewbit.plot.confidences import plot_confidence as plot_confidence
    from fewbit.plot.curves import Panel as Panel
    from fewbit.plot.curves import plot_curves as plot_curves
    from fewbit.plot.designs import plot_designs as plot_designs
    from fewbit.plot.detection import plot_det as plot_det
    from fewbit.plot.error_pictures import plot_error_maps as plot_error_maps
    from fewbit.plot.graphs import plot_graph as plot_graph
    from fewbit.plot.heard import plot_heard as plot_heard
    from fewbit.plot.layer_noises import plot_noise_gain as plot_noise_gain
    from fewbit.plot.levels import plot_levels as plot_levels
    from fewbit.plot.program_graph import plot_program as plot_program
    from fewbit.plot.prunings import plot_pruning as plot_pruning
    from fewbit.plot.resiliences import plot_resilience as plot_resilience
    from fewbit.plot.sensitivities import plot_sensitivity as plot_sensitivity
    from fewbit.plot.surfaces import plot_loss_surface as plot_loss_surface
    from fewbit.plot.surfaces import plot_sharpness as plot_sharpness

_PLACES = {
    "Panel": "fewbit.plot.curves",
    "plot_arms": "fewbit.plot.arms",
    "plot_bit_grid": "fewbit.plot.bit_combinations",
    "plot_capacity": "fewbit.plot.capacities",
    "plot_confidence": "fewbit.plot.confidences",
    "plot_curves": "fewbit.plot.curves",
    "plot_designs": "fewbit.plot.designs",
    "plot_det": "fewbit.plot.detection",
    "plot_error_maps": "fewbit.plot.error_pictures",
    "plot_graph": "fewbit.plot.graphs",
    "plot_heard": "fewbit.plot.heard",
    "plot_levels": "fewbit.plot.levels",
    "plot_loss_surface": "fewbit.plot.surfaces",
    "plot_noise_gain": "fewbit.plot.layer_noises",
    "plot_program": "fewbit.plot.program_graph",
    "plot_pruning": "fewbit.plot.prunings",
    "plot_resilience": "fewbit.plot.resiliences",
    "plot_sensitivity": "fewbit.plot.sensitivities",
    "plot_sharpness": "fewbit.plot.surfaces",
}

__all__ = [
    "Panel",
    "plot_arms",
    "plot_bit_grid",
    "plot_capacity",
    "plot_confidence",
    "plot_curves",
    "plot_designs",
    "plot_det",
    "plot_error_maps",
    "plot_graph",
    "plot_heard",
    "plot_levels",
    "plot_loss_surface",
    "plot_noise_gain",
    "plot_program",
    "plot_pruning",
    "plot_resilience",
    "plot_sensitivity",
    "plot_sharpness",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'fewbit.plot' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value
