"""Study 01: does the loss of few bits vanish as a network grows?

References:
    Sung, Shin, Hwang 2015 (arXiv 1511.06488).
"""

from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from fewbit.analysis import Resilience, Table, resilience
from fewbit.data import cifar
from fewbit.plot import plot_resilience
from fewbit.tasks import Task
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import rank_correlation, verdict
from studies.tasks.named import convnet_task, named_task

SPECS = ("ternary", "int3")
FALLS = -0.6
"""A rank correlation of size and gap at or below it counts as a gap that shrinks."""


@dataclass(frozen=True)
class Scale:
    """Sizes and epochs of a run."""

    layers: int
    widths: tuple[int, ...]
    epochs: int
    retrain_epochs: int
    maps: tuple[int, ...]
    convnet_epochs: int
    convnet_retrain_epochs: int


SMALL = Scale(
    layers=2,
    widths=(4, 8, 16, 32, 64, 128),
    epochs=8,
    retrain_epochs=5,
    maps=(1, 2, 4, 8),
    convnet_epochs=3,
    convnet_retrain_epochs=2,
)
FULL = Scale(
    layers=4,
    widths=(16, 32, 64, 128, 256, 512, 1024),
    epochs=60,
    retrain_epochs=60,
    maps=(2, 4, 8, 16, 32, 64),
    convnet_epochs=60,
    convnet_retrain_epochs=60,
)


def networks(setting: Setting) -> tuple[Task, Task]:
    """The two families: a perceptron, and a small convolutional network (of CIFAR-10 in the published size)."""
    scale = FULL if setting.full else SMALL
    widths: dict[str, Any] = {"layers": scale.layers, "sizes": scale.widths}
    perceptron = named_task("perceptron", setting, epochs=scale.epochs, retrain_epochs=scale.retrain_epochs, **widths)
    maps: dict[str, Any] = {
        "sizes": scale.maps,
        "epochs": scale.convnet_epochs,
        "retrain_epochs": scale.convnet_retrain_epochs,
    }
    if setting.full:
        return perceptron, convnet_task(cifar(setting.folder("cifar10")), **maps)
    return perceptron, named_task("convnet", setting, **maps)


def measure(setting: Setting, task: Task, specs: tuple[str, ...] = SPECS) -> Resilience:
    """Every size, spec and seed of a family; study 03 goes on with the same rows."""
    return resilience(
        task,
        specs,
        seeds=setting.seeds,
        network=setting.network,
        executor=setting.executor,
        out=setting.rows("resiliency"),
        progress=setting.progress,
    )


def run(setting: Setting) -> Study:
    """Measure both families and judge."""
    findings, parts, tables, pictures = [], [], [], []
    for task in networks(setting):
        report = measure(setting, task)
        for spec in SPECS:
            falls, far, sentences = judge(report, spec)
            parts += [falls, far]
            findings += sentences
        tables.append(_table(report))
        path = plot_resilience(report, setting.out / f"01-resiliency-{task.name}.png")
        caption = (
            f"Test error of {task.name}s by size: float, quantized directly and retrained, and the gap that is left."
        )
        pictures.append((path.name, caption))
    return Study(
        number="01",
        name="resiliency",
        title="Resiliency under quantization",
        claim=(
            "Retraining closes the gap between float and ternary weights almost wholly in large networks and only in "
            "part in networks that are limited by their connections; direct quantization to so few bits is far worse."
        ),
        verdict=verdict(parts),
        findings=tuple(findings),
        setting=describe(setting),
        command="python -m studies 01",
        seeds=setting.seeds,
        tables=tuple(tables),
        pictures=tuple(pictures),
    )


def judge(report: Resilience, spec: str) -> tuple[bool, bool, list[str]]:
    """Whether the gap of a spec falls with size, whether direct quantization is far worse, and sentences about both."""
    sizes = report.sizes
    gaps = [report.gaps(size, spec) for size in sizes]
    correlation = rank_correlation([i for i, gap in enumerate(gaps) for _ in gap], [g for gap in gaps for g in gap])
    first, last = mean(gaps[0]), mean(gaps[-1])
    falls = correlation <= FALLS and last < first / 4
    direct = [mean(report.gaps(size, spec, direct=True)) for size in sizes]
    won_back = [1 - mean(gap) / loss for gap, loss in zip(gaps, direct, strict=True) if loss > 0]
    far = all(loss > 2 * mean(gap) for gap, loss in zip(gaps, direct, strict=True))
    sentences = [
        f"{report.task}, {spec}: the gap to float after retraining goes from {spread(gaps[0])} points at size "
        f"{sizes[0]:g} to {spread(gaps[-1])} at size {sizes[-1]:g}; rank correlation with size {correlation:.2f}.",
        f"{report.task}, {spec}: direct quantization loses {min(direct):.1f} to {max(direct):.1f} points, and "
        f"retraining wins back {100 * min(won_back, default=0):.0f} to {100 * max(won_back, default=0):.0f} % of that.",
    ]
    if not falls:
        sentences.append(_why_not(report, spec, first, last))
    if not far:
        half = [f"{s:g}" for s, gap, loss in zip(sizes, gaps, direct, strict=True) if loss <= 2 * mean(gap)]
        sentences.append(
            f"{report.task}, {spec}: at size {', '.join(half)} retraining wins back less than half of the loss. So few "
            "connections have none to spare: no ternary network of that size does the work of the float one, however "
            "it is found."
            if half == [f"{s:g}" for s in sizes[: len(half)]]
            else f"{report.task}, {spec}: retraining wins back less than half of the loss at size {', '.join(half)}."
        )
    return falls, far, sentences


def describe(setting: Setting) -> str:
    """Data, networks and schedules."""
    scale = FULL if setting.full else SMALL
    return (
        f"MNIST with perceptrons of {scale.layers} hidden layers ({scale.epochs} epochs in float and "
        f"{scale.retrain_epochs} of retraining) and {'CIFAR-10' if setting.full else 'MNIST'} with convolutional "
        f"networks ({scale.convnet_epochs} and {scale.convnet_retrain_epochs} epochs); the float networks had the "
        "epochs of retraining as well. All weights are quantized with one step a tensor, signals stay float."
    )


def _why_not(report: Resilience, spec: str, first: float, last: float) -> str:
    """The best explanation of a gap that does not fall as claimed."""
    where = f"{report.task}, {spec}: the gap does not fall as claimed"
    floats = [mean(row.retrained_test for row in report.of(size, "float")) for size in report.sizes[-2:]]
    gaps = [gap for size in report.sizes for gap in report.gaps(size, spec)]
    if len(gaps) > 1 and abs(first) < stdev(gaps):
        return f"{where}: at {first:.2f} points it is within its spread in the smallest networks already."
    if floats[1] < 0.9 * floats[0]:
        return (
            f"{where}, because the largest networks are still limited by their size: the last step in size still "
            f"lowers the float error from {floats[0]:.2f} to {floats[1]:.2f} %."
        )
    return f"{where}; at the largest size {last:.2f} points are left, with the float error no longer limited by size."


def _table(report: Resilience) -> Table:
    columns = ["size", "parameters", "float (%)"]
    for spec in report.specs[1:]:
        columns += [f"{spec}, direct (%)", f"{spec}, retrained (%)", f"{spec}, gap (points)"]
    rows = []
    for size in report.sizes:
        floats = report.of(size, "float")
        row: list[Any] = [size, floats[0].parameters, spread([r.retrained_test for r in floats])]
        for spec in report.specs[1:]:
            found = report.of(size, spec)
            row += [spread([r.direct_test for r in found], 1), spread([r.retrained_test for r in found])]
            row.append(spread(report.gaps(size, spec)))
        rows.append(tuple(row))
    return Table(f"Test error of the {report.task}", tuple(columns), tuple(rows))
