"""Floor 5: pictures (matplotlib, the extra ``plot``)."""

from importlib.util import find_spec

from fewbit.errors import MissingExtraError

if find_spec("matplotlib") is None:
    raise MissingExtraError("pictures need matplotlib: pip install 'fewbit[plot]'")

from fewbit.plot.heard import plot_heard
from fewbit.plot.levels import plot_levels

__all__ = ["plot_heard", "plot_levels"]
