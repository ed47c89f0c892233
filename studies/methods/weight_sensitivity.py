"""Study 02: which matrices and signals of a recurrent network need bits, and what bits by sensitivity are worth.

References:
    Shin, Hwang, Sung 2016 (arXiv 1512.01322).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import mean
from typing import Any

from fewbit.analysis import Sensitivity, Table, assign_bits, grid, sensitivity, stored_bytes, uniform_bytes
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_sensitivity
from fewbit.tasks import Task
from studies.evidence.paired_tests import difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.named import named_task
from studies.tasks.speech import an4_task

WEIGHTS = ("ternary", "int3", "int4")
SIGNALS = ("int3", "int4", "int8")
BUDGETS = ("int3",)
"""An assignment may take as many bytes as all weights at one of these."""


@dataclass(frozen=True)
class Scale:
    """Networks of a run: width, updates of an epoch, epochs in float and of the last retraining, updates of a probe."""

    hidden: int
    updates: int
    epochs: int
    retrain_epochs: int
    probe: int
    speech_hidden: int
    speech_epochs: int
    speech_retrain_epochs: int


SMALL = Scale(
    hidden=96,
    updates=50,
    epochs=16,
    retrain_epochs=6,
    probe=50,
    speech_hidden=128,
    speech_epochs=20,
    speech_retrain_epochs=4,
)
FULL = Scale(
    hidden=512,
    updates=150,
    epochs=60,
    retrain_epochs=30,
    probe=1500,
    speech_hidden=256,
    speech_epochs=120,
    speech_retrain_epochs=60,
)
NAMES = {"lstm": "characters, LSTM", "gru": "characters, GRU", "sru": "characters, SRU", "speech": "speech, SRU"}
ASSIGNED = ("lstm", "speech")
"""Networks that are assigned bits; of the others the direct sensitivity of the first seed is shown."""


def run(setting: Setting) -> Study:
    """Measure every group and signal alone, assign bits, and compare with uniform bits at equal bytes."""
    scale = FULL if setting.full else SMALL
    reports: dict[str, list[Sensitivity]] = {name: [] for name in NAMES}
    rows: list[Mapping[str, Any]] = []
    for name in NAMES:
        for seed in setting.seeds if name in ASSIGNED else setting.seeds[:1]:
            reports[name].append(measure(setting, scale, name, seed))
            if name in ASSIGNED:
                rows += compare(setting, scale, name, seed, reports[name][-1])
    alone = {name: cells_of(found, setting.seeds) for name, found in reports.items()}
    parts = judge(rows, alone)
    pictures = []
    for name, found in reports.items():
        path = setting.out / f"02-weight-sensitivity-{name}.png"
        plot_sensitivity(found[0], path)
        pictures.append((path.name, f"What each matrix and signal loses alone ({NAMES[name]}, first seed)."))
    return Study(
        number="02",
        name="weight-sensitivity",
        title="Sensitivity of recurrent networks, bits by group",
        claim=(
            "The matrices and signals of a recurrent network differ in how few bits they bear; bits assigned by the "
            "sensitivity of each give a smaller loss than uniform bits in the same memory."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(ends(alone[name], name) for name in NAMES)),
        setting=_describe(scale),
        command=f"python -m studies 02 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_comparison(rows), *(_losses(found) for found in reports.values())),
        pictures=tuple(pictures),
        comparisons=comparisons_of(parts),
        rows={"assigned bits": rows} | {f"alone, {name}": found for name, found in alone.items()},
    )


def measure(setting: Setting, scale: Scale, name: str, seed: int) -> Sensitivity:
    """Weights alone, retrained briefly where bits are assigned after it; signals alone, without retraining."""
    task, probe = _tasks(setting, scale, name)
    model = setting.network(task, seed)
    about: dict[str, Any] = {
        "network": f"{NAMES[name]}, seed {seed}",
        "metric": task.metric,
        "out": setting.rows(f"weight-sensitivity-{name}-{seed}"),
        "executor": setting.executor,
        "progress": setting.progress,
    }
    retrain = probe.retraining(seed) if name in ASSIGNED else None
    weights = sensitivity(model, task.measure, weights=WEIGHTS, retrain=retrain, **about)
    calibration = list(islice(task.batches(seed), 2))
    signals = sensitivity(model, task.measure, weights=(), activations=SIGNALS, calibration=calibration, **about)
    return Sensitivity(
        weights.network,
        weights.metric,
        weights.float_metric,
        weights.float_bytes,
        weights.rows + signals.rows,
        weights.failed + signals.failed,
    )


def compare(setting: Setting, scale: Scale, name: str, seed: int, report: Sensitivity) -> Rows:
    """For each budget the uniform and the assigned network after full retraining."""
    measured = setting.sweep(
        partial(_probe, setting, scale, report),
        grid(name=[name], seed=[seed], budget=BUDGETS),
        "assigned-bits",
        f"{NAMES[name]}, bits",
    ).open()
    specs = {row["budget"]: row["specs"] for row in measured}
    return setting.sweep(
        partial(_trial, setting, scale, specs),
        grid(name=[name], seed=[seed], budget=BUDGETS, arm=("uniform", "assigned")),
        "assigned-bits",
        f"{NAMES[name]}, retrained",
    ).open()


def cells_of(reports: Sequence[Sensitivity], seeds: Sequence[int]) -> Rows:
    """What each group and signal loses alone, a row for each seed and spec."""
    return [
        {"seed": seed, "kind": cell.kind, "what": cell.group, "spec": cell.spec, "loss": cell.loss}
        for seed, report in zip(seeds, reports, strict=False)
        for cell in report.rows
    ]


def judge(rows: Rows, alone: Mapping[str, Rows]) -> list[Part]:
    """The parts of the claim: in every network whose sensitivity was measured over seeds, the matrix that is most
    sensitive in the other seeds loses more than twice what the least sensitive one does; and assigned bits are better
    than uniform ones in the same bytes.
    """
    statements = []
    for name in ASSIGNED:
        unit, digits = ("points", 2) if name == "speech" else ("bits", 3)
        least, most = extremes(alone[name])
        gap = difference(
            ("twice the loss of the least sensitive matrix", least),
            ("the most sensitive", most),
            "loss",
            unit=unit,
            digits=digits,
        )
        statements.append((f"Matrices differ in ternary weights by more than a factor of 2 ({NAMES[name]})", gap))
        for budget in BUDGETS:
            mine = of(rows, name=name, budget=budget)
            gap = difference(
                (f"bits by sensitivity in the bytes of {budget}", of(mine, arm="assigned")),
                (f"{budget} everywhere", of(mine, arm="uniform")),
                unit=unit,
                digits=digits,
            )
            statements.append((f"Bits by sensitivity are better than uniform ones ({NAMES[name]})", gap))
    return better(statements)


def extremes(cells: Rows) -> tuple[Rows, Rows]:
    """By seed, twice the loss of the least and the loss of the most sensitive matrix in ternary weights.

    Which matrices these are is told by the other seeds, because the largest of a seed's own losses is large by chance.
    """
    ternary = of(cells, kind="weights", spec="ternary")
    least, most = [], []
    for seed in dict.fromkeys(row["seed"] for row in ternary):
        others = [row for row in ternary if row["seed"] != seed] or ternary
        by_loss = sorted(dict.fromkeys(row["what"] for row in ternary), key=lambda what: _mean(others, what))
        least.append({"seed": seed, "loss": 2 * _mean(of(ternary, seed=seed), by_loss[0])})
        most.append({"seed": seed, "loss": _mean(of(ternary, seed=seed), by_loss[-1])})
    return least, most


def ends(cells: Rows, name: str) -> str:
    """The most and the least sensitive matrix, and the signals in order, by mean loss."""
    weights, signals = (of(cells, kind=kind, spec=spec) for kind, spec in (("weights", "ternary"), ("signal", "int3")))
    matrices, orders = (
        sorted(dict.fromkeys(row["what"] for row in found), key=lambda what: -_mean(found, what))
        for found in (weights, signals)
    )
    told = ", ".join(f"{what} {_mean(signals, what):.3g}" for what in orders)
    seeds = len({row["seed"] for row in cells})
    return (
        f"{NAMES[name]} ({seeds} {'seed' if seeds == 1 else 'seeds'}): in ternary weights alone, {matrices[0]} loses "
        f"{_mean(weights, matrices[0]):.3g} and {matrices[-1]} {_mean(weights, matrices[-1]):.3g}; signals at 3 bits "
        f"lose {told}."
    )


def _mean(cells: Rows, what: str) -> float:
    return float(mean(row["loss"] for row in of(cells, what=what)))


def _probe(setting: Setting, scale: Scale, report: Sensitivity, name: str, seed: int, budget: str) -> dict[str, Any]:
    task, probe = _tasks(setting, scale, name)
    model = setting.network(task, seed)

    def measured(specs: Mapping[str, str]) -> float:
        return task.measure(compress(model, Quantize(dict(specs)), probe.retraining(seed)))

    chosen = assign_bits(report, uniform_bytes(report, budget), measure=measured, candidates=4)
    return {"specs": chosen.specs, "predicted": chosen.predicted, "probed": chosen.measured}


def _trial(
    setting: Setting, scale: Scale, specs: Mapping[str, dict[str, str]], name: str, seed: int, budget: str, arm: str
) -> dict[str, Any]:
    task, _ = _tasks(setting, scale, name)
    chosen: Any = specs[budget] if arm == "assigned" else budget
    result = compress(setting.network(task, seed), Quantize(chosen), task.retraining(seed))
    told = ", ".join(specs[budget].values()) if arm == "assigned" else budget
    return {"dev": task.measure(result), "test": task.score(result), "bytes": stored_bytes(result), "specs": told}


def _tasks(setting: Setting, scale: Scale, name: str) -> tuple[Task, Task]:
    """The task, and the same with a short retraining."""
    if name == "speech":
        settings: dict[str, Any] = {"size": scale.speech_hidden, "epochs": scale.speech_epochs}
        task = an4_task(setting, **settings, retrain_epochs=scale.speech_retrain_epochs)
        return task, an4_task(setting, **settings, retrain_epochs=1)
    settings = {"size": scale.hidden, "epochs": scale.epochs}
    task = named_task(name, setting, **settings, updates=scale.updates, retrain_epochs=scale.retrain_epochs)
    return task, named_task(name, setting, **settings, retrain_epochs=1, updates=scale.probe)


def _losses(reports: list[Sensitivity]) -> Table:
    """Means over seeds of what each group and signal loses alone."""
    first = reports[0]
    specs = {"weights": WEIGHTS, "signal": SIGNALS}
    every = tuple(dict.fromkeys((*WEIGHTS, *SIGNALS)))
    cells = []
    for kind, mine in specs.items():
        for group in first.groups(kind):
            found = {
                spec: [cell.loss for report in reports if (cell := report.of(group, spec, kind)) is not None]
                for spec in mine
            }
            cells.append((kind, group, *(spread(found.get(spec, []), 3) for spec in every)))
    name = first.network.partition(", seed")[0]
    floats = spread([report.float_metric for report in reports], 3)
    title = f"{name}: {first.metric} above float ({floats} on development data) when one alone is quantized"
    return Table(title, ("", "what", *every), tuple(cells))


def _comparison(rows: Rows) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for name in ASSIGNED:
        digits = 2 if name == "speech" else 3
        for budget in BUDGETS:
            for arm in ("uniform", "assigned"):
                mine = of(rows, name=name, budget=budget, arm=arm)
                values = (spread([row[part] for row in mine], digits) for part in ("dev", "test"))
                specs = "; ".join(dict.fromkeys(row["specs"] for row in mine))
                cells.append((NAMES[name], budget, arm, max(row["bytes"] for row in mine), *values, specs))
    columns = ("network", "memory of", "bits", "bytes", "dev", "test", "specs by seed, in the order of the network")
    return Table("Uniform bits and bits by sensitivity in the same memory", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        f"WikiText-2 characters with 2 layers of {scale.hidden} units (bits per character) and AN4 speech by CTC, a "
        f"convolution and 2 SRU layers of {scale.speech_hidden} units (character error rate in %). Where bits are "
        f"assigned, each group is retrained before it is measured ({scale.probe} updates; speech one epoch), and the "
        "four best sums and the uniform choices are measured together in the same way; then all arms are retrained "
        f"for {scale.retrain_epochs} (speech {scale.speech_retrain_epochs}) epochs. One step a tensor, embedding and "
        "last layer included; choices by development data."
    )
