"""Study 06: the average of low-precision networks (SQWA) against plain retraining, and where it lies in the loss.

References:
    Shin, Boo, Sung 2020 (arXiv 2002.00343).
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fewbit.analysis import LossSurface, Table, grid, loss_surface
from fewbit.passes import SQWA, Quantize, compress
from fewbit.plot import plot_arms, plot_loss_surface
from fewbit.tasks import Task
from studies.evidence.paired_tests import difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

ARMS = {
    "plain": "plain retraining",
    "snapshots": "captured networks, mean",
    "last": "last captured network",
    "average": "their average, more bits",
    "requantized": "quantized again, not trained",
    "sqwa": "SQWA: quantized again, trained",
}
AROUND = ("first", "last", "SQWA")
"""The networks that span the surface."""


@dataclass(frozen=True)
class Cycles:
    """Epochs of a family: in float, to warm up, cycles, of a cycle, to finish; `updates` are those of one of text."""

    size: int
    epochs: int
    warmup: int
    cycles: int
    cycle: int
    finish: int
    lr: float
    updates: int = 0

    @property
    def retrain(self) -> int:
        """Epochs of retraining, the same for plain retraining."""
        return self.warmup + self.cycles * self.cycle + self.finish


@dataclass(frozen=True)
class Scale:
    """Both families; `pictures` 0 stands for all."""

    pictures: int
    perceptron: Cycles
    lstm: Cycles
    grid: int = 21


SMALL = Scale(
    pictures=2000,
    perceptron=Cycles(size=16, epochs=20, warmup=10, cycles=7, cycle=2, finish=6, lr=3e-3),
    lstm=Cycles(size=96, epochs=16, warmup=3, cycles=4, cycle=2, finish=3, lr=2e-3, updates=50),
)
FULL = Scale(
    pictures=0,
    perceptron=Cycles(size=128, epochs=60, warmup=30, cycles=7, cycle=5, finish=15, lr=1e-3),
    lstm=Cycles(size=512, epochs=60, warmup=20, cycles=7, cycle=5, finish=10, lr=1e-3, updates=150),
)


def run(setting: Setting) -> Study:
    """Retrain both families both ways at equal updates, and draw the loss between captured networks and the result."""
    scale = FULL if setting.full else SMALL
    measured, tables, pictures = {}, [], []
    for name, measure, digits in (("perceptron", "test error (%)", 2), ("lstm", "test, bits per character", 3)):
        measured[name] = setting.sweep(
            partial(_trial, setting, scale),
            grid(network=(name,), seed=setting.seeds, arm=("plain", "average", "sqwa")),
            "averaged-weights",
            f"SQWA, {name}",
        ).open()
        arms = expand(measured[name])
        tables.append(_table(name, measure, arms, digits))
        path = setting.out / f"06-weight-averaging-{name}.png"
        values = {told: [row["test"] for row in of(arms, arm=arm)] for arm, told in ARMS.items()}
        values = {told: found for told, found in values.items() if found}
        plot_arms(values, measure, path, f"Ternary {name}: averaging against plain retraining", digits - 1)
        pictures.append((path.name, f"A ternary {name} by how it was retrained, at equal updates."))
    parts = judge(measured)
    _, surface = surface_of(setting, scale, setting.seeds[0])
    path = setting.out / "06-loss-surface.png"
    plot_loss_surface(surface, path, "Training loss between the first and the last captured network and SQWA")
    pictures.append((path.name, "The loss in the plane of two captured networks and the result, float and quantized."))
    return Study(
        number="06",
        name="weight-averaging",
        title="Stochastic quantized weight averaging (SQWA)",
        claim=(
            "The average of low-precision networks captured along a cyclic retraining, quantized again and trained "
            "gently, is better than plain retraining and lies in the middle of a flat region of the loss."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), rises(of(measured["perceptron"], arm="sqwa"))),
        setting=_describe(scale),
        command=f"python -m studies 06 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(tables),
        pictures=tuple(pictures),
        comparisons=comparisons_of(parts),
        rows=measured,
    )


def expand(rows: Rows) -> list[dict[str, Any]]:
    """One row for each arm of `ARMS`: what was measured on the way becomes an arm of its own."""
    found = []
    for row in rows:
        base = {key: row[key] for key in ("network", "seed")}
        found.append(base | {"arm": row["arm"], "dev": row["dev"], "test": row["test"], "bits": row["bits"]})
        if row["arm"] == "average":
            snapshots = row["test of snapshots"]
            found.append(base | {"arm": "snapshots", "test": mean(snapshots), "bits": 2})
            found.append(base | {"arm": "last", "test": snapshots[-1], "bits": 2})
            found.append(base | {"arm": "requantized", "test": row["test, requantized"], "bits": 2})
    return found


def judge(measured: Mapping[str, Rows]) -> list[Part]:
    """The parts of the claim: in both families the average beats its members, the result beats them too, and plain
    retraining of as many updates; and the result of the perceptron lies lower than the captured networks around it.
    """
    statements = []
    for network, rows in measured.items():
        arms = expand(rows)
        about: dict[str, Any] = (
            {"unit": "points", "digits": 2} if network == "perceptron" else {"unit": "bits", "digits": 3}
        )
        for says, arm, base in (
            ("The average is better than the captured networks", "average", "snapshots"),
            ("SQWA is better than the captured networks", "sqwa", "snapshots"),
            ("SQWA is better than plain retraining", "sqwa", "plain"),
        ):
            gap = difference((ARMS[arm], of(arms, arm=arm)), (ARMS[base], of(arms, arm=base)), **about)
            statements.append((f"{says} ({network})", gap))
    around = of(measured["perceptron"], arm="sqwa")
    for name in AROUND[:2]:
        low, high = ([{"seed": row["seed"], "loss": row["around"][each]} for row in around] for each in ("SQWA", name))
        gap = difference(
            ("around SQWA", low),
            (f"around the {name} captured network", high),
            "loss",
            unit="of quantized training loss in the disc of half their distance",
            digits=4,
        )
        statements.append((f"The loss around SQWA is lower than around the {name} captured network", gap))
    return better(statements)


def rises(rows: Rows) -> str:
    """How far the loss rises around each network above its own."""
    found = {name: [row["rises"][name] for row in rows] for name in AROUND}
    told = ", ".join(f"{name} {spread(values, 4)}" for name, values in found.items())
    return f"Perceptron, rise of the quantized training loss in the disc above the own loss of each: {told}."


def _trial(setting: Setting, scale: Scale, network: str, seed: int, arm: str) -> dict[str, Any]:
    task, cycles = _task(setting, scale, network, seed)
    model = setting.network(task, seed)
    more: dict[str, Any] = {"bits": 2}
    if arm == "plain":
        result = compress(model, Quantize("ternary+adaptive"), task.retraining(seed))
    elif arm == "average":
        snapshots: list[float] = []
        averaged = _sqwa(task, cycles, seed, on_capture=lambda _, net: snapshots.append(task.score(net)))
        result = compress(model, Quantize("ternary+adaptive"), averaged(average=True))
        again = compress(model, Quantize("ternary+adaptive"), averaged(finetune_epochs=0))
        count = cycles.cycles
        more = {
            "bits": (2 * count).bit_length(),
            "test of snapshots": snapshots[:count],
            "test, requantized": task.score(again),
        }
    elif network == "perceptron":
        result, surface = surface_of(setting, scale, seed)
        rises = surface.flatness()
        around = {point.name: point.quantized_loss + rises[point.name] for point in surface.points}
        more |= {"rises": rises, "around": around}
    else:
        result = compress(model, Quantize("ternary+adaptive"), _sqwa(task, cycles, seed)())
    return {"dev": task.measure(result), "test": task.score(result)} | more


def surface_of(setting: Setting, scale: Scale, seed: int) -> tuple[nn.Module, LossSurface]:
    """The perceptron that SQWA makes, and the loss around it on the training data."""
    task, cycles = _task(setting, scale, "perceptron", seed)
    captured: list[nn.Module] = []
    sqwa = _sqwa(task, cycles, seed, on_capture=lambda _, net: captured.append(deepcopy(net)))()
    result = compress(setting.network(task, seed), Quantize("ternary+adaptive"), sqwa)
    batches: Any = task.batches(0)
    loss = partial(_loss, batches.inputs[:5000], batches.labels[:5000])
    models = [captured[0], captured[-1], result]
    return result, loss_surface(models, loss, metric=task.score, names=AROUND, grid=scale.grid)


def _sqwa(task: Task, cycles: Cycles, seed: int, **fixed: Any) -> Callable[..., SQWA]:
    """Makes SQWA with the settings of a family, `fixed` and what else is given."""
    usual = {"cycles": cycles.cycles, "cycle_epochs": cycles.cycle, "finetune_epochs": cycles.finish}
    about = {"lr": cycles.lr, "seed": seed, "progress": False}

    def make(**changes: Any) -> SQWA:
        settings: dict[str, Any] = usual | about | fixed | changes
        return SQWA(task.batches(seed), task.objective, cycles.warmup, **settings)

    return make


def _task(setting: Setting, scale: Scale, network: str, seed: int) -> tuple[Task, Cycles]:
    cycles = scale.perceptron if network == "perceptron" else scale.lstm
    settings: dict[str, Any] = {
        "size": cycles.size,
        "epochs": cycles.epochs,
        "retrain_epochs": cycles.retrain,
        "retrain_lr": cycles.lr,
    }
    if network == "perceptron" and scale.pictures:
        return few_images_task(setting, scale.pictures, seed, **settings), cycles
    if cycles.updates:
        settings["updates"] = cycles.updates
    return named_task(network, setting, **settings), cycles


def _loss(x: torch.Tensor, y: torch.Tensor, model: nn.Module) -> float:
    return float(functional.cross_entropy(model(x), y))


def _table(network: str, measure: str, rows: Rows, digits: int) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm, told in ARMS.items():
        mine = of(rows, arm=arm)
        if mine:
            cells.append((told, mine[0]["bits"], spread([row["test"] for row in mine], digits)))
    return Table(f"{network}, all arms at equal updates", ("network", "bits", measure), tuple(cells))


def _describe(scale: Scale) -> str:
    def told(cycles: Cycles) -> str:
        return (
            f"{cycles.epochs} epochs in float, {cycles.retrain} of retraining (SQWA: {cycles.warmup} to warm up, "
            f"{cycles.cycles} cycles of {cycles.cycle}, {cycles.finish} to finish at a tenth of the rate)"
        )

    data = f"{scale.pictures:,} training pictures of MNIST" if scale.pictures else "MNIST"
    return (
        f"{data}, perceptron of 2 hidden layers of {scale.perceptron.size} units: {told(scale.perceptron)}, "
        f"training pictures of its own for each seed. WikiText-2 characters, LSTM of 2 layers of {scale.lstm.size} "
        f"units: {told(scale.lstm)}, {scale.lstm.updates} updates an epoch. All weights ternary with "
        "adaptive steps, frozen after the warm-up; signals float."
    )
