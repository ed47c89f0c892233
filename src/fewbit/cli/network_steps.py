"""``fewbit train``, ``compress`` and ``pack``: the steps on a user's own network, a task in a Python file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewbit.cli.output import say
from fewbit.cli.spec_lists import pattern_and_spec, split_specs
from fewbit.errors import ArgumentError, FewbitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fewbit.tasks import Measured

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="FILE.py[:NAME] or MODULE[:NAME] with a fewbit.tasks.Task; NAME defaults to task.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.")]
Checkpoint = Annotated[Path | None, typer.Option(help="Resume from this file if it exists, and save to it.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (train, compress, pack):
        app.command()(command)


def train(
    task: TaskName,
    out: Annotated[Path, typer.Option(help="File for the float network.")] = Path("float.safetensors"),
    size: Annotated[float | None, typer.Option(help="Size of the network; default the task's own.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; default those of the task.")] = None,
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
) -> None:
    """Train the float network of a task."""
    from fewbit import tasks

    changes = {} if epochs is None else {"epochs": epochs}
    _say(tasks.train(tasks.load_task(task), out, size=size, seed=seed, checkpoint=checkpoint, **changes))


def compress(
    task: TaskName,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A float network made by fewbit train; it is also the teacher.")
    ],
    out: Annotated[Path, typer.Option(help="File for the quantized network.")] = Path("quantized.safetensors"),
    weights: Annotated[
        str | None,
        typer.Option(
            help="Format of the weights, or formats by pattern: head=int8,*=ternary. The first match wins.",
            show_default="ternary",
        ),
    ] = None,
    activations: Annotated[str | None, typer.Option(help="Format of the signals.", show_default="int8")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=0, help="Epochs of retraining; 0 is direct quantization.", show_default="the task's"),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe file (TOML), in place of --weights, --activations and --epochs.")
    ] = None,
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
) -> None:
    """Quantize a float network and retrain it with the float network as the teacher."""
    from fewbit import tasks
    from fewbit.passes import read_recipe
    from fewbit.quant import activation_quantizer

    found = tasks.load_task(task)
    if recipe is None:
        signals = "int8" if activations is None else activations
        if signals != "float":
            _check("--activations", signals, activation_quantizer)
        how = tasks.compression(found, _formats("ternary" if weights is None else weights), signals, epochs=epochs)
    else:
        given = {"--weights": weights, "--activations": activations, "--epochs": epochs}
        doubled = [name for name, value in given.items() if value is not None]
        if doubled:
            raise typer.BadParameter(f"the recipe says what {doubled[0]} would; leave one of them out")
        how = read_recipe(recipe)
    _say(tasks.compress(found, model, out, how, seed=seed, checkpoint=checkpoint))


def pack(
    task: TaskName,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A quantized network made by fewbit compress.")],
    out: Annotated[Path, typer.Option(help="File for the packed network.")] = Path("network.fewbit"),
) -> None:
    """Pack a quantized network into a *.fewbit file that runs without torch."""
    from fewbit import tasks

    path = tasks.pack(tasks.load_task(task), model, out)
    say(f"{path}: {path.stat().st_size:,} bytes")


def _formats(text: str) -> Any:
    """A format, or a dictionary of patterns in their order; each format is checked."""
    from fewbit.quant import weight_quantizer

    found = {}
    parts = split_specs(text)
    for part in parts:
        pattern, spec = pattern_and_spec(part)
        if len(parts) > 1 and pattern is None:
            raise ArgumentError(f"--weights {text!r}: {part!r} has no format; wanted PATTERN=FORMAT, ...")
        if spec != "float":
            _check("--weights", spec, weight_quantizer)
        if pattern is None:
            return spec
        found[pattern or "*"] = spec
    return found


def _check(option: str, spec: str, parse: "Callable[[str], Any]") -> None:
    try:
        parse(spec)
    except FewbitError as error:
        raise ArgumentError(f"{option} {spec!r}: {error}") from error


def _say(found: "Measured") -> None:
    tested = "" if found.test is None else f", test {found.test:.2f}"
    say(f"{found.path}: {found.metric}: held out {found.held_out:.2f}{tested}")
