"""``fewbit analyze``, the commands about one network: where it needs bits, and how it lies in its loss.

As in `fewbit.cli.analyze`, a command finds the task, calls the analysis, and keeps what comes.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from fewbit.cli.spec_lists import split_specs
from fewbit.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn

    from fewbit.analysis import LayerNoise, Table
    from fewbit.tasks import Task

Seed = Annotated[int, typer.Option(help="Seed of the network and of all randomness.")]
Spec = Annotated[str, typer.Option(help="Format of the weights.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (sensitivity, bits, noise, surface, sharpness, errors, design):
        app.command()(command)


def sensitivity(
    task: TaskName,
    bytes: Annotated[int | None, typer.Option(min=1, help="Also assign bits for this memory budget in bytes.")] = None,
    specs: Annotated[str, typer.Option(help="Comma-separated formats of weights.")] = "ternary,int3,int4,int8",
    signals: Annotated[str, typer.Option(help="Comma-separated formats of signals; '' for none.")] = "int4,int8",
    retrain: Annotated[int, typer.Option(min=0, help="Epochs of retraining before each measurement.")] = 0,
    out: Out = Path("results"),
    seed: Seed = 0,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Quantize each weight and each signal alone to find those that need bits; --bytes assigns bits to all."""
    from fewbit import analysis
    from fewbit.passes import Quantize, compress
    from fewbit.plot import plot_sensitivity

    found, model = _network(task, seed, out, _names(specs), _names(signals))
    passes = found.retraining(seed, epochs=retrain) if retrain else None
    report = analysis.sensitivity(
        model,
        found.measure,
        weights=_names(specs),
        activations=_names(signals),
        calibration=found.batches(seed),
        retrain=passes,
        network=found.name,
        metric=found.metric,
        executor=find_executor(workers, ray),
        out=rows_of(out, f"sensitivity {retrain}", found),
    )
    demand_figures(report, report.rows)
    name = stem("sensitivity", found)
    keep(report, out, name, plot_sensitivity(report, out / f"{name}.png"))
    if bytes is None:
        return

    def measured(chosen: Any) -> float:
        return found.measure(compress(model, Quantize(dict(chosen)), *([passes] if passes else [])))

    assigned = analysis.assign_bits(report, bytes, measure=measured)
    name = stem("assigned bits", found)
    recipe = out / f"{name}.toml"
    recipe.write_text(assigned.toml(), encoding="utf-8")
    keep(assigned, out, name, None)
    say(f"recipe: {recipe}")


def bits(
    task: TaskName,
    weights: Annotated[str, typer.Option(help="Comma-separated bits of inner weights; float is added.")] = "8,4,3,2",
    signals: Annotated[str, typer.Option(help="Comma-separated bits of inner signals; float is added.")] = "8,4,3,2",
    out: Out = Path("results"),
    seeds: Seeds = 3,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Retrain all combinations of bits in weights and signals."""
    from fewbit.analysis import bit_grid
    from fewbit.plot import plot_bit_grid
    from fewbit.tasks import load_task

    found = load_task(task)
    check_folder(out)
    report = bit_grid(
        found,
        (None, *_numbers("--weights", weights)),
        (None, *_numbers("--signals", signals)),
        range(seeds),
        executor=find_executor(workers, ray),
        out=rows_of(out, "bits", found),
    )
    demand_figures(report, report.cells)
    name = stem("bits", found)
    keep(report, out, name, plot_bit_grid([report], out / f"{name}.png"))


@dataclass(frozen=True)
class NoiseReport:
    """Noise gains as a report."""

    network: str
    layers: "tuple[LayerNoise, ...]"

    def tables(self) -> "tuple[Table, ...]":
        """One row for each signal."""
        from fewbit.analysis import Table

        columns = ("signal", "gain", "relative gain", "error power / output power")
        rows = tuple((layer.layer, layer.gain, layer.relative, layer.error) for layer in self.layers)
        return (Table(f"{self.network}: noise of each signal at the output", columns, rows),)


def noise(
    task: TaskName,
    bits: Annotated[int, typer.Option(min=2, max=8, help="Bits of the quantized signal.")] = 3,
    out: Out = Path("results"),
    seed: Seed = 0,
) -> None:
    """Add noise to one signal after the other and measure it at the output."""
    from fewbit.analysis import noise_gain
    from fewbit.plot import plot_noise_gain

    found, model = _network(task, seed, out)
    layers = noise_gain(model, found.batches(seed), bits=bits, seed=seed)
    name = stem("noise", found)
    picture = plot_noise_gain(layers, bits, out / f"{name}.png", f"{found.name}: noise of each signal at the output")
    keep(NoiseReport(found.name, layers), out, name, picture)


def surface(
    task: TaskName,
    spec: Spec = "ternary",
    grid: Annotated[int, typer.Option(min=2, help="Grid points along each side.")] = 21,
    out: Out = Path("results"),
    seed: Seed = 0,
) -> None:
    """Draw the loss in the plane of the first and the last network that SQWA captures and its result."""
    from fewbit.analysis import loss_surface
    from fewbit.passes import SQWA, Quantize, compress
    from fewbit.plot import plot_loss_surface

    found, model = _network(task, seed, out, [spec])
    captured: list[Any] = []
    sqwa = SQWA(
        found.batches(seed),
        found.objective,
        warmup_epochs=max(1, found.retrain_epochs // 2),
        finetune_epochs=1,
        cycles=max(3, found.retrain_epochs // 2 | 1),
        lr=found.retrain_lr,
        seed=seed,
        on_capture=lambda _, net: captured.append(deepcopy(net)),
    )
    result = compress(model, Quantize(spec), sqwa)
    some = list(islice(found.batches(seed), 8))
    report = loss_surface(
        [captured[0], captured[-1], result],
        _loss(found, some),
        names=("first", "last", "SQWA"),
        grid=grid,
        refresh=some,
        progress=True,
    )
    name = stem("surface", found)
    keep(report, out, name, plot_loss_surface(report, out / f"{name}.png", f"{found.name}: training loss, {spec}"))


def sharpness(
    task: TaskName,
    spec: Spec = "ternary",
    out: Out = Path("results"),
    seed: Seed = 0,
) -> None:
    """Measure how flat the loss is around the float network and around the retrained quantized one."""
    from fewbit import analysis
    from fewbit.passes import Quantize, compress
    from fewbit.plot import plot_sharpness

    found, model = _network(task, seed, out, [spec])
    loss = _loss(found, list(islice(found.batches(seed), 8)))
    networks = {"float": model, f"{spec}, retrained": compress(model, Quantize(spec), found.retraining(seed))}
    reports = {name: analysis.sharpness(network, loss, seed=seed) for name, network in networks.items()}
    name = stem("sharpness", found)
    picture = plot_sharpness(reports, out / f"{name}.png", f"{found.name}: loss under noise on the weights")
    for label, report in reports.items():
        say(f"{found.name}, {label}", style="bold")
        keep(report, out, stem(f"sharpness {label}", found), picture)


def errors(
    width: Annotated[int, typer.Option(min=1, help="Units of a hidden layer.")] = 64,
    depth: Annotated[int, typer.Option(min=2, help="Hidden layers.")] = 4,
    target: Annotated[str, typer.Option(help="Function to learn: waves or spirals.")] = "waves",
    weights: Annotated[int, typer.Option(min=2, max=8, help="Bits of inner weights.")] = 2,
    signals: Annotated[int, typer.Option(min=2, max=8, help="Bits of inner signals.")] = 3,
    out: Out = Path("results"),
    seed: Seed = 0,
) -> None:
    """Draw the errors that few bits make in a small network of two inputs; needs no data."""
    from fewbit.analysis import map_errors
    from fewbit.plot import plot_error_maps

    check_folder(out)
    report = map_errors(
        width, depth, target=target, weight_bits=weights, signal_bits=signals, grid=128, seed=seed
    )  # fmt: skip
    name = f"errors-{target}-{depth}x{width}"
    keep(report, out, name, plot_error_maps(report, out / f"{name}.png"))


def design(
    tasks: Annotated[
        list[str], typer.Argument(metavar="DEPTH=TASK...", help="A task for each depth, such as 2=nets.py:two.")
    ],
    bytes: Annotated[int, typer.Option(min=1, help="Memory budget of the network in bytes.")],
    weights: Annotated[str, typer.Option(help="Comma-separated bits of weights.")] = "2,3,4,8",
    signals: Annotated[str, typer.Option(help="Comma-separated bits of signals.")] = "2,3,4,8",
    bit_operations: Annotated[float | None, typer.Option(help="Maximum of multiplications x bits x bits.")] = None,
    out: Out = Path("results"),
    seed: Seed = 0,
    workers: Workers = 1,
    ray: Ray = False,
) -> None:
    """Choose depth, width and bits for a memory budget: train all designs briefly, the best ones fully."""
    from fewbit.analysis import choose_design
    from fewbit.plot import plot_designs
    from fewbit.tasks import load_task

    families = {}
    for given in tasks:
        depth, _, name = given.partition("=")
        if not depth.isdecimal() or not name:
            raise ArgumentError(f"{given!r}: wanted DEPTH=TASK, such as 2=nets.py:two")
        families[int(depth)] = load_task(name)
    check_folder(out)
    first = next(iter(families.values()))
    report = choose_design(
        families,
        bytes,
        weight_bits=_numbers("--weights", weights),
        signal_bits=_numbers("--signals", signals),
        bit_operations=bit_operations,
        seed=seed,
        executor=find_executor(workers, ray),
        out=rows_of(out, "design", first),
    )
    name = stem("design", first)
    keep(report, out, name, plot_designs(report, out / f"{name}.png"))
    for line in report.dropped:
        say(f"left out: {line}")


def _network(
    task: str, seed: int, out: Path, weights: Sequence[str] = (), signals: Sequence[str] = ()
) -> "tuple[Task, nn.Module]":
    """The task and its float network, the user's own or one trained now, with a bar; options are checked first."""
    from fewbit.quant import activation_quantizer, weight_quantizer
    from fewbit.tasks import load_task

    found = load_task(task)
    check_folder(out)
    for spec in weights:
        weight_quantizer(spec)
    for spec in signals:
        activation_quantizer(spec)
    if found.network is not None:
        return found, found.trained(seed)
    finetune = replace(found.retraining(seed, epochs=found.epochs, lr=found.lr), progress=True, title="float")
    return found, finetune(found.new(seed))


def _loss(task: "Task", batches: list[Any]) -> "Callable[[nn.Module], float]":
    """Mean of the task's objective over fixed batches."""
    return partial(_mean_loss, task, batches)


def _mean_loss(task: "Task", batches: list[Any], model: "nn.Module") -> float:
    return sum(float(task.objective(model, batch, 1.0)) for batch in batches) / len(batches)


def _names(text: str) -> list[str]:
    return [part for part in split_specs(text) if part]


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in _names(text)]
    except ValueError as error:
        raise ArgumentError(f"{option} {text}: wanted whole numbers with commas between, such as 8,4,2") from error
