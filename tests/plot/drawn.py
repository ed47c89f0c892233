"""The figure behind a picture, so that tests look at what is drawn."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text


def drawn(write: Callable[[], Path]) -> Figure:
    """The one figure that `write` saves; its file must be there."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *arguments: object, **more: object) -> None:
        saved.append(self)
        save(self, *arguments, **more)

    with mock.patch.object(Figure, "savefig", keep):
        path = write()
    assert path.is_file()
    (figure,) = saved
    return figure


def words(figure: Figure) -> set[str]:
    """All texts of a figure."""
    return {text.get_text() for text in figure.findobj(Text)} - {""}


def legend(axes: Axes) -> list[str]:
    """The entries of a legend."""
    return axes.get_legend_handles_labels()[1]
