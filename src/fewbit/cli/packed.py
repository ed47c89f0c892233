"""How commands take a packed network: by its path, or by the name under which it ships."""

from typing import Annotated

import typer

from fewbit.shipped import names

HELP = f"A packed network, *.fewbit, or the name of one that ships with fewbit: {', '.join(names())}."
Packed = Annotated[str, typer.Argument(metavar="FILE", help=HELP)]
