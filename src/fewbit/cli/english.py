"""``fewbit english``: train the recogniser of English that ships with fewbit."""

from pathlib import Path
from typing import Annotated

import typer

from fewbit.cli.output import print_json, print_table


def english(
    data: Annotated[Path, typer.Option(help="Folder of AN4, with manifest.tsv.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed network and its language models.")] = Path("an4"),
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="Go on from here if it exists, and save here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Train, compress and pack the recogniser of English letters, numbers and names, with its language models."""
    from fewbit.tour import english as train

    found = train(data, out, seed=seed, checkpoint=checkpoint)
    if json:
        print_json(found)
        return
    rows = [(name, lm, *rates) for name, kinds in found.items() for lm, rates in kinds.items()]
    print_table("test speakers", ("network", "language model", "WER", "CER"), rows)
