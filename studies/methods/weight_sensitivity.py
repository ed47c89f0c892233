"""Study 02: which matrices and signals of a recurrent network need bits, and what bits by sensitivity are worth.

References:
    Shin, Hwang, Sung 2016 (arXiv 1512.01322).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import mean
from typing import Any

from fewbit.analysis import Sensitivity, Table, assign_bits, grid, sensitivity, stored_bytes, uniform_bytes
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_sensitivity
from fewbit.tasks import Task
from studies.evidence.pairs import Rows, of, pairs
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import verdict
from studies.tasks.named import named_task
from studies.tasks.speech import an4_task

WEIGHTS = ("ternary", "int3", "int4")
SIGNALS = ("int3", "int4", "int8")
BUDGETS = ("int3",)
"""An assignment may take as many bytes as all weights at one of these."""


@dataclass(frozen=True)
class Scale:
    """Networks of a run: width, epochs in float, of the last retraining, and updates of a probe."""

    hidden: int
    epochs: int
    retrain_epochs: int
    probe: int
    speech_hidden: int
    speech_epochs: int
    speech_retrain_epochs: int


SMALL = Scale(
    hidden=96, epochs=8, retrain_epochs=3, probe=50, speech_hidden=128, speech_epochs=20, speech_retrain_epochs=4
)
FULL = Scale(
    hidden=512, epochs=60, retrain_epochs=30, probe=1500, speech_hidden=256, speech_epochs=120, speech_retrain_epochs=60
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
    parts, findings = [], []
    for name in ASSIGNED:
        for judged, sentence in judge(rows, name):
            parts.append(judged)
            findings.append(sentence)
    differ = [(name, *differences(reports[name])) for name in NAMES]
    parts.append(all(ratio > 2 for _, ratio, _ in differ))
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
        findings=(*findings, *(sentence for _, _, sentence in differ)),
        setting=_describe(scale),
        command="python -m studies 02",
        seeds=setting.seeds,
        tables=(_comparison(rows), *(_losses(found) for found in reports.values())),
        pictures=tuple(pictures),
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
    )
    specs = {row["budget"]: row["specs"] for row in measured}
    return setting.sweep(
        partial(_trial, setting, scale, specs),
        grid(name=[name], seed=[seed], budget=BUDGETS, arm=("uniform", "assigned")),
        "assigned-bits",
        f"{NAMES[name]}, retrained",
    )


def judge(rows: Rows, name: str) -> list[tuple[bool, str]]:
    """Whether assigned bits are better than uniform ones in each budget."""
    found = []
    unit, digits = ("points", 2) if name == "speech" else ("bits", 3)
    for budget in BUDGETS:
        mine = of(rows, name=name, budget=budget)
        arms = [(f"bits by sensitivity in the bytes of {budget}", of(mine, arm="assigned"))]
        pair = pairs(arms[0], (f"{budget} everywhere", of(mine, arm="uniform")))
        text = f"{NAMES[name]}: {pair.sentence(unit, digits)}."
        if not pair.better:
            dev = pairs(arms[0], ("", of(mine, arm="uniform")), "dev").mean
            text += (
                f" On development data the difference is {dev:+.{digits}f} {unit}: the choice was made there after a "
                "retraining much shorter than this one, which ranks assignments that are so near each other by chance."
            )
        found.append((pair.better, text))
    return found


def differences(reports: list[Sensitivity]) -> tuple[float, str]:
    """The loss of the most and of the least sensitive matrix in ternary weights, for each number, and a sentence."""
    groups = {group: _mean(reports, group, "ternary", "weights") for group in reports[0].groups()}
    most, least = max(groups, key=lambda group: groups[group]), min(groups, key=lambda group: groups[group])
    signals = {signal: _mean(reports, signal, "int3", "signal") for signal in reports[0].groups("signal")}
    worst = max(signals, key=lambda signal: signals[signal])
    name = reports[0].network.partition(", seed")[0]
    return groups[most] / max(groups[least], 1e-9), (
        f"{name}: in ternary weights alone, {most} loses {groups[most]:.3g} and {least} {groups[least]:.3g} "
        f"({reports[0].metric}); of the signals at 3 bits, the {worst} loses most, {signals[worst]:.3g}."
    )


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
    task = named_task(name, setting, **settings, retrain_epochs=scale.retrain_epochs)
    return task, named_task(name, setting, **settings, retrain_epochs=1, updates=scale.probe)


def _mean(reports: list[Sensitivity], group: str, spec: str, kind: str) -> float:
    cells = [report.of(group, spec, kind) for report in reports]
    return mean([cell.loss for cell in cells if cell is not None] or [0.0])


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
