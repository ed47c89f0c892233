"""``fewbit analyze prune``: error against multiply-accumulates, bytes and time of pruned networks of few bits."""

import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewbit.atomic_file import write_atomically
from fewbit.cli.analyze import (
    Out,
    Ray,
    Seeds,
    TaskName,
    Workers,
    check_folder,
    demand_figures,
    find_executor,
    keep,
    rows_of,
    stem,
)
from fewbit.cli.output import say
from fewbit.cli.ratio_lists import split_ratios
from fewbit.cli.spec_lists import split_specs
from fewbit.errors import ArgumentError, FewbitError

if TYPE_CHECKING:
    from fewbit.analysis import PrunedPoint, Pruning
    from fewbit.tasks import Task


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(prune)


def prune(
    task: TaskName,
    ratio: Annotated[
        str,
        typer.Option(
            help="Shares to prune: a list such as 0.25,0.5, or a range FIRST..LAST, by 0.2 or by :STEP. The dense "
            "network is always measured."
        ),
    ] = "0.1..0.9",
    specs: Annotated[str, typer.Option(help="Comma-separated formats of weights.")] = "ternary,int4,int8",
    by: Annotated[
        str, typer.Option(help="What is pruned, with commas between; what the network has not is left out.")
    ] = "channels,units,heads,kernels",
    activations: Annotated[str, typer.Option(help="Format of the signals; float leaves them.")] = "int8",
    bytes: Annotated[int | None, typer.Option(min=1, help="Choose the least error in so many bytes.")] = None,
    macs: Annotated[
        float | None, typer.Option(min=1, help="Choose the least error with so many multiply-accumulates a frame.")
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(min=0, help="Choose the fewest bytes with an error so far above that of the dense float network."),
    ] = None,
    out: Out = Path("results"),
    seeds: Seeds = 3,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Prune channels, units, heads and kernels, then quantize: error against work, bytes and measured time.

    --bytes, --macs or --error chooses a point and writes its recipe.
    """
    from fewbit import analysis
    from fewbit.plot import plot_pruning
    from fewbit.tasks import load_task

    ratios = split_ratios(ratio)
    wishes = [wish for wish in (bytes, macs, error) if wish is not None]
    if len(wishes) > 1 or not all(math.isfinite(wish) for wish in wishes):
        raise ArgumentError(f"--bytes, --macs and --error: saw {wishes}; wanted one of them at most, and a number")
    found = load_task(task)
    check_folder(out)
    rows = rows_of(out, "prune", found)
    report = analysis.pruning(
        found,
        ratios,
        split_specs(specs),
        split_specs(by),
        range(seeds),
        activations=activations,
        executor=find_executor(workers, ray),
        out=rows,
    )
    demand_figures(report, report.rows)
    for line in report.left_out:
        say(f"left out: {line}")
    why: FewbitError | None = None
    if wishes:
        try:
            report = replace(report, chosen=report.choose(bytes=bytes, macs=macs, error=error))
        except FewbitError as unfulfilled:  # the trainings may have taken hours: their figures are kept
            why = unfulfilled
    name = stem("prune", found)
    keep(report, out, name, plot_pruning(report, out / f"{name}.png"))
    if why is not None:
        raise why
    if report.chosen is None:
        say("nothing is chosen; --bytes, --macs or --error chooses a point, and trains nothing again")
    else:
        _write(found, task, report, report.chosen, out / name, rows)


def _write(task: "Task", source: str, report: "Pruning", chosen: "PrunedPoint", path: Path, rows: Path) -> None:
    """The recipe, and the float network that it starts from."""
    from fewbit.analysis.float_store import kept_network
    from fewbit.tasks import save_network

    seed = chosen.networks[0].seed
    recipe = write_atomically(path.with_name(f"{path.name}.toml"), report.toml(chosen))
    start = path.with_name(f"{path.name}-float.safetensors")
    save_network(start, kept_network(rows.with_suffix(""), task, seed), task.size, {"task": task.name, "seed": seed})
    say(f"chosen: {chosen.name}: {chosen.bytes:,.0f} bytes, {report.metric} {chosen.error:.4g} on development data")
    say(f"recipe: {recipe}; its network of seed {seed}:")
    say(shlex.join(["fewbit", "compress", source, f"{start}", "--recipe", f"{recipe}", "--seed", f"{seed}"]))
