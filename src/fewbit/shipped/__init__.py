"""Packed networks that ship with fewbit, each made by one command from data with a free licence.

``an4``      spoken English letters, numbers, names and commands, with language models (see `an4.md` beside the file);
             made by ``python -m recipes english``
``commands`` ten spoken English command words, each a class of its own (see `commands.md` beside the file); made by
             ``python -m recipes commands``
``digits``   spoken English digits "zero" to "nine" (see `digits.md` beside the file); made by ``fewbit demo``
"""

from importlib import resources
from pathlib import Path

from fewbit.errors import ArgumentError

__all__ = ["find", "names", "pretrained"]


def names() -> list[str]:
    """Names of the packed networks in this package.

    Examples:
        >>> names()
        ['an4', 'commands', 'digits']
    """
    return sorted(path.stem for path in Path(str(resources.files("fewbit.shipped"))).glob("*.fewbit"))


def pretrained(name: str = "digits") -> Path:
    """Path of a packed network in this package.

    Raises:
        ArgumentError: no network of that name ships with fewbit.

    Examples:
        >>> pretrained("digits").name
        'digits.fewbit'
    """
    if name not in names():
        raise ArgumentError(f"no network {name!r} ships with fewbit; there are {names()}")
    return Path(str(resources.files("fewbit.shipped"))) / f"{name}.fewbit"


def find(model: str | Path) -> Path:
    """Find a packed network by its path, or by its name if it ships with fewbit: ``words.fewbit``, ``digits``.

    Raises:
        ArgumentError: `model` has no suffix, is no file, and does not ship with fewbit.

    Examples:
        >>> find("digits") == pretrained("digits"), find("words.fewbit").name
        (True, 'words.fewbit')
    """
    path = Path(model)
    return path if path.suffix or path.is_file() or len(path.parts) > 1 else pretrained(str(model))
