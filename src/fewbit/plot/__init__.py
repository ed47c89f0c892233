"""Floor 5: pictures (matplotlib, the extra ``plot``)."""

from importlib.util import find_spec

from fewbit.errors import MissingExtraError

if find_spec("matplotlib") is None:
    raise MissingExtraError("pictures need matplotlib: pip install 'fewbit[plot]'")

from fewbit.plot.arms import plot_arms
from fewbit.plot.capacities import plot_capacity
from fewbit.plot.heard import plot_heard
from fewbit.plot.levels import plot_levels
from fewbit.plot.resiliences import plot_resilience

__all__ = ["plot_arms", "plot_capacity", "plot_heard", "plot_levels", "plot_resilience"]
