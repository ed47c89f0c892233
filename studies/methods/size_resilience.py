"""Study 01: does the loss of few bits vanish as a network grows?

References:
    Sung, Shin, Hwang 2015 (arXiv 1511.06488).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from fewbit.analysis import Resilience, Table, resilience
from fewbit.data import cifar
from fewbit.errors import DataError
from fewbit.plot import plot_resilience
from fewbit.tasks import Task
from studies.evidence.paired_tests import by_seed
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, rank_correlation, verdict
from studies.tasks.named import convnet_task, named_task

SPECS = ("ternary", "int3")
LEFT = 1 / 4
"""Share of the smallest network's gap: a gap below it in the largest network counts as one that shrinks."""
FAR = 2
"""Direct quantization is far worse if it loses more than so many times what is lost after retraining."""


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
    """Every size, spec and seed of a family; study 03 goes on with the same rows.

    Raises:
        DataError: a run gave no figures; what worked is kept.
    """
    found = resilience(
        task,
        specs,
        seeds=setting.seeds,
        network=setting.network,
        executor=setting.executor,
        out=setting.rows("resiliency"),
        progress=setting.progress,
    )
    if found.failed:
        raise DataError(f"{task.name}: {len(found.failed)} runs failed, the first: {found.failed[0]}")
    return found


def run(setting: Setting) -> Study:
    """Measure both families and judge."""
    reports = [measure(setting, task) for task in networks(setting)]
    parts = judge(reports)
    pictures = []
    for report in reports:
        path = plot_resilience(report, setting.out / f"01-resiliency-{report.task}.png")
        caption = (
            f"Test error of {report.task}s by size: float, quantized directly and retrained, and the gap that is left."
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
        findings=(*(part.finding for part in parts), *describe_gaps(reports, parts)),
        setting=describe(setting),
        command=f"python -m studies 01 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(_table(report) for report in reports),
        pictures=tuple(pictures),
        comparisons=comparisons_of(parts),
        rows={report.task: [asdict(row) for row in report.rows] for report in reports},
    )


def judge(reports: Sequence[Resilience]) -> list[Part]:
    """The parts of the claim, for each family and spec: gaps shrink with size, and direct quantization is far worse."""
    shrink, far = [], []
    for report in reports:
        small, large = report.sizes[0], report.sizes[-1]
        for spec in SPECS:
            told = f"{report.task}, {spec}"
            first = {seed: LEFT * gap for seed, gap in _gaps(report, small, spec).items()}
            shrink.append(
                (
                    f"In large networks less than {100 * LEFT:.0f} % of the gap of small ones is left ({told})",
                    by_seed(
                        (f"{told}, gap at size {large:g}", _gaps(report, large, spec)),
                        (f"{100 * LEFT:.0f} % of the gap at size {small:g}", first),
                    ),
                )
            )
            far.append(
                (
                    f"Direct quantization loses more than {FAR} times what is lost after retraining ({told})",
                    by_seed(
                        (
                            f"{told}, {FAR} times the gap after retraining, mean over sizes",
                            _over_sizes(report, spec, FAR),
                        ),
                        ("gap of direct quantization, mean over sizes", _over_sizes(report, spec, 1, direct=True)),
                    ),
                )
            )
    return better([*shrink, *far])


def describe_gaps(reports: Sequence[Resilience], parts: Sequence[Part]) -> list[str]:
    """Means of the gaps of each family and spec, where little is won back, and a hypothesis for gaps that stay."""
    found = []
    places = [(report, spec) for report in reports for spec in SPECS]
    for (report, spec), part in zip(places, parts, strict=False):  # the first parts are those of shrinking gaps
        where, sizes = f"{report.task}, {spec}", report.sizes
        gaps = [report.gaps(size, spec) for size in sizes]
        direct = [mean(report.gaps(size, spec, direct=True)) for size in sizes]
        order = rank_correlation([i for i, gap in enumerate(gaps) for _ in gap], [g for gap in gaps for g in gap])
        won_back = [1 - mean(gap) / loss for gap, loss in zip(gaps, direct, strict=True) if loss > 0]
        found.append(
            f"{where}: the gap to float after retraining goes from {spread(gaps[0])} points at size {sizes[0]:g} to "
            f"{spread(gaps[-1])} at size {sizes[-1]:g} (rank correlation with size {order:.2f}); direct quantization "
            f"loses {min(direct):.1f} to {max(direct):.1f} points, and retraining wins back "
            f"{100 * min(won_back, default=0):.0f} to {100 * max(won_back, default=0):.0f} % of that."
        )
        less = [f"{s:g}" for s, gap, loss in zip(sizes, gaps, direct, strict=True) if loss <= FAR * mean(gap)]
        if less:
            found.append(
                f"{where}: retraining wins back less than half of the loss, by means, at size {', '.join(less)}."
            )
        if part.outcome != "shown":
            found += _why_not(report, spec)
    return found


def _gaps(report: Resilience, size: float, spec: str, direct: bool = False) -> dict[int, float]:
    """By seed, test metric less that of the float network."""
    base = {row.seed: row.retrained_test for row in report.of(size, "float")}
    return {
        row.seed: (row.direct_test if direct else row.retrained_test) - base[row.seed]
        for row in report.of(size, spec)
        if row.seed in base
    }


def _over_sizes(report: Resilience, spec: str, times: float, direct: bool = False) -> dict[int, float]:
    """By seed, so many times the mean gap of all sizes; a seed without one of them is left out."""
    gaps = [_gaps(report, size, spec, direct) for size in report.sizes]
    seeds = set.intersection(*(set(gap) for gap in gaps))
    return {seed: times * mean(gap[seed] for gap in gaps) for seed in seeds}


def describe(setting: Setting) -> str:
    """Data, networks and schedules."""
    scale = FULL if setting.full else SMALL
    return (
        f"MNIST with perceptrons of {scale.layers} hidden layers ({scale.epochs} epochs in float and "
        f"{scale.retrain_epochs} of retraining) and {'CIFAR-10' if setting.full else 'MNIST'} with convolutional "
        f"networks ({scale.convnet_epochs} and {scale.convnet_retrain_epochs} epochs); the float networks had the "
        "epochs of retraining as well. All weights are quantized with one step a tensor, signals stay float. A seed "
        "has networks and batches of its own; all seeds read the whole training set."
    )


def _why_not(report: Resilience, spec: str) -> list[str]:
    """A hypothesis for a gap that is not shown to shrink as claimed, where the float networks suggest one."""
    where = f"{report.task}, {spec}"
    floats = [mean(row.retrained_test for row in report.of(size, "float")) for size in report.sizes[-2:]]
    gaps = [gap for size in report.sizes for gap in report.gaps(size, spec)]
    first = mean(report.gaps(report.sizes[0], spec))
    if len(gaps) > 1 and abs(first) < stdev(gaps):
        return [f"{where}: the gap is within its spread ({first:.2f} points) in the smallest networks already."]
    if floats[-1] < 0.9 * floats[0]:
        return [
            f"{where}: a hypothesis, which no arm tests: the largest networks are still limited by their size, as the "
            f"last step in size lowers the float error from {floats[0]:.2f} to {floats[-1]:.2f} %."
        ]
    return []


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
