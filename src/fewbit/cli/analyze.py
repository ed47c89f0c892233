"""``fewbit analyze``: how many bits a network needs, with a picture, for a user's own network.

A command here trains nothing itself: it finds the task, calls the analysis of the same name, and keeps what comes.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewbit.cli.output import print_table, say
from fewbit.cli.spec_lists import split_specs
from fewbit.errors import ArgumentError

if TYPE_CHECKING:
    from fewbit.analysis import Executor, Report, Resilience
    from fewbit.tasks import Task

MOST_ROWS = 60
app = typer.Typer(
    help="Measure how many bits a network needs, and where; each command draws a picture.", no_args_is_help=True
)
TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="FILE.py[:NAME] or MODULE[:NAME] with a fewbit.tasks.Task; NAME defaults to task.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the picture, the CSV and the JSON.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds (0, 1, ...) for means and spreads.")]
Workers = Annotated[int, typer.Option(min=1, help="Number of processes that train in parallel.")]
Ray = Annotated[bool, typer.Option("--ray", help="Run the trainings on a Ray cluster.")]


def find_executor(workers: int, ray: bool) -> "Executor | None":
    """Where the trainings run."""
    from fewbit.analysis import process_executor, ray_executor

    return ray_executor() if ray else process_executor(workers) if workers > 1 else None


def rows_of(out: Path, analysis: str, task: "Task") -> Path:
    """The file of the rows of a sweep, from which an interrupted command resumes; an edited task has another file."""
    from fewbit.tasks import fingerprint

    path = out / f"{stem(analysis, task)}-{fingerprint(task, measured=True)}.jsonl"
    if path.is_file():
        say(f"resuming with the runs in {path}")
    return path


def stem(analysis: str, task: "Task") -> str:
    """The name of the files of an analysis."""
    return re.sub(r"[\W_]+", "-", f"{analysis} {task.name}").strip("-").lower()


def check_folder(out: Path) -> None:
    """Refuse an `out` that cannot hold files before any training."""
    if any(part.exists() and not part.is_dir() for part in (out, *out.parents)):
        raise ArgumentError(f"--out {out}: is a file or lies in one; wanted a folder")
    out.mkdir(parents=True, exist_ok=True)


def demand_figures(report: Any, rows: Sequence[Any]) -> None:
    """Report failed runs; if all failed, raise an error."""
    if report.failed and not rows:
        raise ArgumentError(f"no run gave figures; the first: {report.failed[0]}")
    for line in report.failed:
        say(f"failed: {line}", style="red")


def keep(report: "Report", out: Path, name: str, picture: Path | None) -> None:
    """Write the tables, print the short ones, and print the paths of all files."""
    from fewbit.analysis import save_report

    files = save_report(report, out, name)
    for table in report.tables():
        if len(table.rows) <= MOST_ROWS:
            print_table(table.title, table.columns, table.rows)
    if picture is not None:
        say(f"picture: {picture}")
    say(f"figures: {', '.join(str(file) for file in files)}")


Specs = Annotated[str, typer.Option(help="Comma-separated formats of weights to compare with float.")]
Sizes = Annotated[str | None, typer.Option(help="Comma-separated sizes of the network; default: those of the task.")]


@app.command()
def resilience(
    task: TaskName,
    specs: Specs = "ternary,int3",
    sizes: Sizes = None,
    out: Out = Path("results"),
    seeds: Seeds = 3,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Compare sizes of the network in float, quantized directly and retrained: is it large enough for few bits?"""
    from fewbit.plot import plot_resilience
    from fewbit.tasks import load_task

    found = load_task(task)
    report = _resilience(found, specs, sizes, out, seeds, find_executor(workers, ray))
    name = stem("resilience", found)
    keep(report, out, name, plot_resilience(report, out / f"{name}.png"))


@app.command()
def capacity(
    task: TaskName,
    bytes: Annotated[int | None, typer.Option(min=1, help="Memory budget of the network in bytes.")] = None,
    specs: Specs = "ternary,int3,int4,int8",
    sizes: Sizes = None,
    out: Out = Path("results"),
    seeds: Seeds = 3,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Compare formats at equal memory: many weights of few bits, or few of many? Reuses the runs of `resilience`."""
    from fewbit import analysis
    from fewbit.plot import plot_capacity
    from fewbit.tasks import load_task

    found = load_task(task)
    if len(_sizes(sizes) or found.sizes) < 3:
        raise ArgumentError(f"task {found.name!r}: a curve over memory needs at least 3 sizes; give --sizes 8,16,32")
    report = analysis.capacity(_resilience(found, specs, sizes, out, seeds, find_executor(workers, ray)), bytes)
    name = stem("capacity", found)
    keep(report, out, name, plot_capacity(report, out / f"{name}.png"))


def _resilience(
    task: "Task", specs: str, sizes: str | None, out: Path, seeds: int, executor: "Executor | None"
) -> "Resilience":
    from fewbit.analysis import resilience
    from fewbit.analysis.size_resilience import FLOAT

    numbers = _sizes(sizes)
    names = split_specs(specs)
    if len(set(names)) < len(names):
        raise ArgumentError(f"--specs {specs}: a format is named twice")
    check_folder(out)
    rows = rows_of(out, "resilience", task)
    report = resilience(task, names, numbers, range(seeds), executor=executor, out=rows)
    demand_figures(report, [row for row in report.rows if row.spec == FLOAT])
    return report


def _sizes(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(size) for size in text.split(",")]
    except ValueError as error:
        raise ArgumentError(f"--sizes {text}: wanted numbers with commas between, such as 8,16,32") from error
