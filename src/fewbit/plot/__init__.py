"""Floor 5: pictures (matplotlib, the extra ``plot``)."""

from importlib.util import find_spec

from fewbit.errors import MissingExtraError

if find_spec("matplotlib") is None:
    raise MissingExtraError("pictures need matplotlib: pip install 'fewbit[plot]'")

from fewbit.plot.arms import plot_arms
from fewbit.plot.bit_combinations import plot_bit_grid
from fewbit.plot.capacities import plot_capacity
from fewbit.plot.curves import Panel, plot_curves
from fewbit.plot.designs import plot_designs
from fewbit.plot.detection import plot_det
from fewbit.plot.error_pictures import plot_error_maps
from fewbit.plot.graphs import plot_graph
from fewbit.plot.heard import plot_heard
from fewbit.plot.layer_noises import plot_noise_gain
from fewbit.plot.levels import plot_levels
from fewbit.plot.resiliences import plot_resilience
from fewbit.plot.sensitivities import plot_sensitivity
from fewbit.plot.surfaces import plot_loss_surface, plot_sharpness

__all__ = [
    "Panel",
    "plot_arms",
    "plot_bit_grid",
    "plot_capacity",
    "plot_curves",
    "plot_designs",
    "plot_det",
    "plot_error_maps",
    "plot_graph",
    "plot_heard",
    "plot_levels",
    "plot_loss_surface",
    "plot_noise_gain",
    "plot_resilience",
    "plot_sensitivity",
    "plot_sharpness",
]
