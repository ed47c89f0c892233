"""``python -m studies``: a method's claim measured in small, or at its published size.

FEWBIT_DATA=... python -m studies 06 --out docs/results --cache build/studies
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fewbit.cli.output import print_table, say
from fewbit.cli.running import run_app
from studies.evidence import Setting, write_results
from studies.registry import FULL_ONLY, STUDIES, reproduce, usual_seeds

app = typer.Typer(add_completion=False)


@app.command()
def study(
    number: Annotated[
        str,
        typer.Argument(
            metavar="NN",
            help=f"{', '.join(key for key in STUDIES if key not in FULL_ONLY)}, or all; "
            f"{' and '.join(FULL_ONLY)} where their data are.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for JSON, pictures and pages.")] = (Path("results")),
    data: Annotated[Path | None, typer.Option(help="Folder of data sets; default $FEWBIT_DATA.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds 0, 1, ...; default 5, or 3 where a run takes over two minutes.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The published setting: hours on a GPU.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the trainings.")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Folder for rows of stopped runs; default OUT/cache.")] = None,
) -> None:
    """Reproduce a method's claim on real data, and write what came of it."""
    for key in [key for key in STUDIES if key not in FULL_ONLY] if number == "all" else [number]:
        repeated = usual_seeds(key) if seeds is None else tuple(range(seeds))
        found = reproduce(key, Setting(out, cache or out / "cache", repeated, data, full, workers))
        say(f"{found.stem}: {found.title}", style="bold")
        say(f"claim: {found.claim}")
        say(f"verdict: {found.verdict}")
        for finding in found.findings:
            say(f"- {finding}")
        for table in found.tables:
            print_table(table.title, table.columns, table.rows)
    overview, *_ = write_results(out)
    say(f"page: {overview}")


def main(arguments: list[str] | None = None) -> int:
    """Run a study; the exit code."""
    return run_app(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
