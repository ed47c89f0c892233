"""Study 03: with a memory for weights that is given, fewer bits or fewer weights?

References:
    Shin, Hwang, Sung 2016 (arXiv 1611.06342).
"""

from itertools import groupby

from fewbit.analysis import Capacity, Ratio, Table, capacity
from fewbit.plot import plot_capacity
from studies.evidence.setting import Setting
from studies.evidence.study import Study
from studies.evidence.verdicts import rank_correlation, verdict
from studies.methods.size_resilience import measure, networks

SPECS = ("ternary", "int3", "int4", "int8")
RISES = 0.6
"""A rank correlation of size and ratio at or above it counts as a ratio that grows."""


def run(setting: Setting) -> Study:
    """Take the rows of study 01 for the perceptron, add what is missing, and judge."""
    task = networks(setting)[0]
    report = capacity(measure(setting, task, SPECS))
    judged = (worth_it(report), grows(report))
    path = plot_capacity(report, setting.out / f"03-compression-ratio-{task.name}.png")
    caption = f"What a memory gives a {task.name}, and its effective compression ratio by size."
    return Study(
        number="03",
        name="compression-ratio",
        title="Effective compression ratio",
        claim=(
            "In a given memory a larger network of few bits beats a smaller one in float; how far, the effective "
            "compression ratio tells, which for ternary weights is low in small networks and grows with them."
        ),
        verdict=verdict([holds for holds, _ in judged]),
        findings=(*(sentence for _, sentence in judged), best_bits(report), efficiency(report)),
        setting=(
            f"MNIST with perceptrons, {task.epochs} epochs in float and {task.retrain_epochs} of retraining; the float "
            "networks had the epochs of retraining as well. All weights are quantized with one step a tensor, signals "
            "stay float. The rows are those of study 01, with more formats."
        ),
        command="python -m studies 03",
        seeds=setting.seeds,
        tables=(_ratios(report), _capacities(report), _designs(report)),
        pictures=((path.name, caption),),
    )


def worth_it(report: Capacity) -> tuple[bool, str]:
    """Whether every quantized network is worth more than a float network of its bytes, and a sentence about it."""
    known = [ratio for ratio in report.ratios if ratio.spec != "float" and ratio.limit != "<"]
    bounds = [ratio for ratio in report.ratios if ratio.limit == "<"]
    poor = [ratio for ratio in known if ratio.low <= 1]
    least, most = (end(known, key=lambda ratio: ratio.ratio) for end in (min, max))
    text = (
        f"{report.task}: effective compression ratios lie between {_of(least)} and {_of(most)}; "
        f"{len(known) - len(poor)} of {len(known)} are above 1 with the range of their seeds."
    )
    if bounds:
        text += f" {len(bounds)} quantized networks are worse than every float network measured, so have only a bound."
    return not poor, text


def grows(report: Capacity) -> tuple[bool, str]:
    """Whether the ratio of ternary networks grows with their size, and a sentence about it."""
    known = [ratio for ratio in report.of("ternary") if ratio.limit != "<"]
    correlation = rank_correlation(list(range(len(known))), [ratio.ratio for ratio in known])
    text = (
        f"{report.task}: the ratio of ternary weights goes from {_of(known[0])} to {_of(known[-1])}; rank correlation "
        f"with size {correlation:.2f}."
    )
    holds = correlation >= RISES and known[-1].ratio > known[0].ratio
    if not holds and known[-1].limit == ">=":
        text += (
            " The largest are as good as the best float networks, whose error no longer falls with size, so their "
            "ratios are lower bounds and cannot show growth."
        )
    elif not holds and known[0].efficiency > known[-1].efficiency:
        text += (
            f" Small ones lose much, but small float networks lose more: where error falls steeply with size, a loss "
            f"is worth few bytes (efficiency {known[0].efficiency:.2f} at the smallest, {known[-1].efficiency:.2f} at "
            "the largest)."
        )
    return holds, text


def best_bits(report: Capacity) -> str:
    """Which format is best at each capacity."""
    budgets = [row[0] for row in _capacities(report).rows]
    pairs = [(int(budget), report.best_at(int(budget))) for budget in budgets if budget is not None]
    runs = [(spec, [budget for budget, _ in group]) for spec, group in groupby(pairs, key=lambda pair: pair[1])]
    told = [f"{spec} {f'at {at[0]:,}' if len(at) == 1 else f'from {at[0]:,} to {at[-1]:,}'}" for spec, at in runs]
    return f"{report.task}: best by development data, of the formats measured there: {', '.join(told)} bytes."


def efficiency(report: Capacity) -> str:
    """How much of its nominal ratio each format keeps."""
    told = []
    for spec in [spec for spec in report.test_curves if spec != "float"]:
        known = [ratio.efficiency for ratio in report.of(spec) if not ratio.limit]
        if known:
            told.append(f"{spec} {min(known):.2f} to {max(known):.2f}")
    return f"{report.task}: share of the nominal ratio that is left, without bounds: {', '.join(told)}."


def _of(ratio: Ratio) -> str:
    return f"{ratio.limit}{ratio.ratio:.1f} ({ratio.spec}, size {ratio.size:g})"


def _ratios(report: Capacity) -> Table:
    columns = ("size", "weights", "bytes", f"test, {report.metric}", "as float bytes", "ratio", "16 to 84 %", "nominal")
    rows = tuple(
        (
            ratio.size,
            ratio.spec,
            ratio.bytes,
            f"{ratio.test:.2f} ± {ratio.spread:.2f}",
            f"{ratio.limit} {ratio.same_as:,.0f}".strip(),
            f"{ratio.limit} {ratio.ratio:.2f}".strip(),
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            round(ratio.nominal, 2),
        )
        for ratio in report.ratios
        if ratio.spec != "float"
    )
    return Table(f"Effective compression ratio of the {report.task}", columns, rows)


def _capacities(report: Capacity) -> Table:
    return report.tables()[-1]


def _designs(report: Capacity) -> Table:
    """The best network at three budgets, a quarter, half and three quarters of the way between the ends."""
    low, high = (end(ratio.bytes for ratio in report.ratios) for end in (min, max))
    rows = []
    for part in (0.25, 0.5, 0.75):
        budget = round(low * (high / low) ** part, -2)
        best = min(report.design(budget), key=lambda design: design.measured_dev)
        rows.append((int(budget), best.spec, best.measured, best.measured_bytes, best.measured_dev, best.measured_test))
    columns = ("budget (bytes)", "weights", "size", "bytes", f"dev, {report.metric}", f"test, {report.metric}")
    return Table(f"The best {report.task} measured within a budget", columns, tuple(rows))
