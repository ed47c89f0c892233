"""Packed networks that ship with fewbit, each made by one command from data with a free licence.

``an4``      spoken English letters, numbers, names and commands, with language models (see `an4.md` beside the file);
             made by ``fewbit english``
``commands`` ten spoken English command words, each a class of its own (see `commands.md` beside the file); made by
             ``fewbit commands``
``digits``   spoken English digits "zero" to "nine" (see `digits.md` beside the file); made by ``fewbit demo``
"""

from importlib import resources
from pathlib import Path

from fewbit.errors import DataError

__all__ = ["find", "pretrained"]


def pretrained(name: str = "digits") -> Path:
    """Path of a packed network in this package.

    Raises:
        DataError: there is none of that name.
    """
    folder = Path(str(resources.files("fewbit.shipped")))
    path = folder / f"{name}.fewbit"
    if not path.is_file():
        there = sorted(p.stem for p in folder.glob("*.fewbit"))
        raise DataError(f"no network {name!r} ships with fewbit; there are {there}")
    return path


def find(model: str | Path) -> Path:
    """A packed network by its path, or by the name under which it ships: ``words.fewbit``, ``digits``.

    Raises:
        DataError: a name without an ending that is neither a file nor ships with fewbit.
    """
    path = Path(model)
    return path if path.suffix or path.is_file() else pretrained(str(model))
