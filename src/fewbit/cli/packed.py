"""How commands take a packed network, by its path or by the name under which it ships, and sound files."""

from pathlib import Path
from typing import Annotated

import typer

from fewbit.shipped import names

HELP = f"A packed network, *.fewbit, or the name of one that ships with fewbit: {', '.join(names())}."
Packed = Annotated[str, typer.Argument(metavar="FILE", help=HELP)]
Sounds = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE",
        help="Sound files: wav, flac, ogg and others. A packed network, *.fewbit, may come first in place of --model.",
    ),
]
SHIPPED = "an4"
"""The network of commands that are given none."""


def network_and_sounds(files: list[Path] | None, model: str | None) -> tuple[str, list[Path]]:
    """The packed network that `files` or `model` name, and the sound files."""
    networks = [str(path) for path in files or [] if path.suffix == ".fewbit"]
    named = networks if model is None else [*networks, model]
    if len(named) > 1:
        raise typer.BadParameter(f"give one network, not {', '.join(named)}")
    return named[0] if named else SHIPPED, [path for path in files or [] if path.suffix != ".fewbit"]
