"""The command line: each command calls the public function of the same name and prints what it returns."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import fewbit
from fewbit.cli import analyze, analyze_network, analyze_prune, bench, network_steps
from fewbit.cli.generate import generate
from fewbit.cli.output import console, print_json, print_network, say
from fewbit.cli.packed import Packed
from fewbit.cli.running import run_app
from fewbit.cli.serve import serve
from fewbit.cli.spot import spot
from fewbit.cli.stream import stream
from fewbit.shipped import find

app = typer.Typer(
    help="Train, compress and run networks of very few bits on streams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.")]


def _version(wanted: bool) -> None:
    if wanted:
        say(f"fewbit {fewbit.__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Train, compress and run networks of very few bits on streams."""


@app.command()
def show(
    file: Packed,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Print the recipe that made it, as TOML for fewbit compress --recipe.")
    ] = False,
    graph: Annotated[Path | None, typer.Option(help="Also draw the ops, as .svg, .png or .pdf.")] = None,
    expand_blocks: Annotated[bool, typer.Option("--all", help="Show repeated blocks in full.")] = False,
    json: Json = False,
) -> None:
    """Show the ops and the cost of a packed network, or the recipe that made it."""
    if recipe:
        from fewbit.passes import Recipe

        found = Recipe.from_dict(fewbit.load(find(file)).recipe, f"{file}: its recipe")
        print_json(found.to_dict()) if json else print(found.to_toml(), end="")
        return
    from fewbit.program.overview import overview

    program = fewbit.load(find(file))
    cost, seen = fewbit.cost(program), overview(program)
    if graph is not None:
        from fewbit.plot import plot_program

        plot_program(program, graph, title=Path(file).name, expand_blocks=expand_blocks)
    if json:
        print_json({"file": file} | seen.to_dict() | cost.to_dict())
    else:
        print_network(program, cost, seen, file, expand_blocks)


@app.command()
def run(
    file: Packed,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A sound file; or an array as .npy in the shape of the input, without a batch axis; or several arrays "
            "by their names as .npz.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the results as .npy; several as .npz.")] = None,
    json: Json = False,
) -> None:
    """Run a packed network on a whole input and print its scores."""
    from fewbit.cli.whole_input import run_file, save

    results = run_file(fewbit.load(find(file)), source)
    if out is not None:
        save(results, out)
    if json:
        first = results[0].to_dict()
        each = {} if len(results) == 1 else {"results": [result.to_dict() for result in results]}
        print_json({"file": str(source), "shape": first["shape"], "best": first["best"]} | each)
    else:
        for result in results:
            say(f"{source}: {result}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the packed network and the picture.")] = Path("demo"),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train, compress, pack and stream a recogniser of spoken digits, and compare it with the float network."""
    from fewbit.demo import demo, print_demo

    result = demo(out, seed=seed)
    if json:
        print_json(result.to_dict())
    else:
        print_demo(result, console)


network_steps.register(app)
analyze_network.register(analyze.app)
analyze_prune.register(analyze.app)
app.add_typer(analyze.app, name="analyze")
app.add_typer(bench.app, name="bench")
app.command()(serve)
app.command()(stream)
app.command()(spot)
app.command()(generate)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    return run_app(app, arguments)


def entry() -> None:
    """What the console script runs."""
    sys.exit(main())
