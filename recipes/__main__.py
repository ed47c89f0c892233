"""``python -m recipes``: train the networks in the package.

python -m recipes english --data AN4_FOLDER --out an4
python -m recipes commands --data SPEECH_COMMANDS_FOLDER --out commands
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fewbit.cli.output import print_json, print_table
from fewbit.cli.running import run_app

app = typer.Typer(help="Train the networks in the package.", no_args_is_help=True, add_completion=False)
Seed = Annotated[int, typer.Option(help="Seed of all randomness.")]
Checkpoint = Annotated[Path | None, typer.Option(help="Resume from this file if it exists, and save to it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def english(
    data: Annotated[Path, typer.Option(help="Folder of AN4, with manifest.tsv.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed network and its language models.")] = Path("an4"),
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
    control: Annotated[
        bool,
        typer.Option(
            help="Also train the float network on for as many epochs as the ternary one: 240 in place of 180."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Train, compress and pack the recogniser of English letters, numbers and names, with its language models."""
    from recipes.english import english as train

    found = train(data, out, seed=seed, checkpoint=checkpoint, control=control)
    if json:
        print_json(found)
        return
    rows = [(name, lm, *rates) for name, kinds in found.items() for lm, rates in kinds.items()]
    print_table("test speakers", ("network", "language model", "WER", "CER"), rows)


@app.command()
def commands(
    data: Annotated[Path, typer.Option(help="Folder of Speech Commands, with manifest.tsv.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed network.")] = Path("commands"),
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
    json: Json = False,
) -> None:
    """Train, compress and pack the spotter of ten command words."""
    from recipes.commands import commands as train

    found = train(data, out, seed=seed, checkpoint=checkpoint)
    if json:
        print_json({name: asdict(figures) for name, figures in found.items()})
        return
    rates = list(next(iter(found.values())).misses)
    rows: list[tuple[str | float, ...]] = [
        (name, f.accuracy, *(f.misses[rate] for rate in rates)) for name, f in found.items()
    ]
    print_table("test speakers", ("network", "named rightly", *(f"missed at {rate}" for rate in rates)), rows)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    return run_app(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
