"""Do the same for each file, and go on after one that fails."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

from fewbit.cli.output import print_error
from fewbit.errors import FewbitError

Source = TypeVar("Source")


def each_file(sources: Sequence[Source], listen: Callable[[Source], None]) -> None:
    """Call `listen` with every source. After an error the next source follows; the exit code is then 1."""
    failed = False
    for i, source in enumerate(sources, 1):
        try:
            listen(source)
        except FewbitError as error:
            if i == len(sources):
                raise
            print_error(str(error), getattr(error, "__notes__", []))
            failed = True
    if failed:
        raise typer.Exit(1)
