"""``fewbit commands``: train the spotter of command words that ships with fewbit."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fewbit.cli.output import print_json, print_table


def commands(
    data: Annotated[Path, typer.Option(help="Folder of Speech Commands, with manifest.tsv.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed network.")] = Path("commands"),
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="Go on from here if it exists, and save here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Train, compress and pack the spotter of ten command words."""
    from fewbit.tour import commands as train

    found = train(data, out, seed=seed, checkpoint=checkpoint)
    if json:
        print_json({name: asdict(figures) for name, figures in found.items()})
        return
    rates = list(next(iter(found.values())).misses)
    rows: list[tuple[str | float, ...]] = [
        (name, f.accuracy, *(f.misses[rate] for rate in rates)) for name, f in found.items()
    ]
    print_table("test speakers", ("network", "named rightly", *(f"missed at {rate}" for rate in rates)), rows)
