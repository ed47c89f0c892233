"""Study 03: with a memory for weights that is given, fewer bits or fewer weights?

References:
    Shin, Hwang, Sung 2016 (arXiv 1611.06342).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from math import log2
from statistics import mean

from fewbit.analysis import Capacity, Ratio, Resilience, Table, capacity
from fewbit.plot import plot_capacity
from studies.evidence.paired_tests import by_seed
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study
from studies.evidence.verdicts import Part, better, comparisons_of, rank_correlation, verdict
from studies.methods.size_resilience import measure, networks

SPECS = ("ternary", "int3", "int4", "int8")
RISES = 0.6
"""A rank correlation of size and ratio above it counts as a ratio that grows."""


def run(setting: Setting) -> Study:
    """Take the rows of study 01 for the perceptron, add what is missing, and judge."""
    task = networks(setting)[0]
    measured = measure(setting, task, SPECS)
    report, rows = capacity(measured), ratios(measured)
    parts = judge(rows)
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
        verdict=verdict(parts),
        findings=(
            *(part.finding for part in parts),
            span(report),
            *_why_not(report, parts),
            best_bits(report),
            efficiency(report),
        ),
        setting=(
            f"MNIST with perceptrons, {task.epochs} epochs in float and {task.retrain_epochs} of retraining; the float "
            "networks had the epochs of retraining as well. All weights are quantized with one step a tensor, signals "
            "stay float. The rows are those of study 01, with more formats. A seed has networks and batches of its "
            "own; all seeds read the whole training set. Tests are of ratios by the float networks of the same seed."
        ),
        command=f"python -m studies 03 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_ratios(report), _capacities(report), _designs(report)),
        pictures=((path.name, caption),),
        comparisons=comparisons_of(parts),
        rows={task.name: [asdict(row) for row in measured.rows], "ratios by seed": rows},
    )


def ratios(measured: Resilience) -> Rows:
    """The ratio of each quantized network by the float networks of its own seed, and whether it is only a bound."""
    found = []
    for seed in sorted({row.seed for row in measured.rows}):
        alone = replace(measured, rows=tuple(row for row in measured.rows if row.seed == seed))
        found += [
            {"seed": seed, "spec": one.spec, "size": one.size, "ratio": one.ratio, "limit": one.limit}
            for one in capacity(alone, resamples=1).ratios
            if one.spec != "float"
        ]
    return found


def judge(rows: Rows) -> list[Part]:
    """The parts of the claim: networks of each spec are worth more than float ones of their bytes, and the ratio of
    ternary ones grows with size.

    Sizes at which a seed has an upper bound only, because every float network is better, are no part of it; where no
    float network is better, the lower bound is taken.
    """
    statements = []
    for spec in SPECS:
        sizes = _known(rows, spec)
        shares = {size: _shares(rows, spec, size) for size in _known(rows, spec)}
        poorest = max(shares, key=lambda size: mean(shares[size].values()), default=0.0)
        statements.append(
            (
                f"Each {spec} network is worth more than a float network of its bytes",
                by_seed(
                    (f"{spec} network of size {poorest:g}, the one that is worth least", shares.get(poorest, {})),
                    ("a float network as good", 0.0),
                    unit="doublings of memory",
                ),
            )
        )
    sizes = _known(rows, "ternary")
    ends = [_shares(rows, "ternary", size) for size in (sizes[-1], sizes[0])] if sizes else [{}, {}]
    statements += [
        (
            "The ratio of ternary networks is higher at the largest size than at the smallest",
            by_seed(
                ("ternary memory relative to float, largest size", ends[0]),
                ("the same, smallest size", ends[1]),
                unit="doublings",
            ),
        ),
        (
            f"The ratio of ternary networks grows with size, with a rank correlation above {RISES:g}",
            by_seed(
                ("rank correlation of size and ternary memory relative to float", _orders(rows, "ternary", sizes)),
                (f"{-RISES:g}", -RISES),
                unit="of correlation",
            ),
        ),
    ]
    return better(statements)


def span(report: Capacity) -> str:
    """Between what the ratios of the means over seeds lie."""
    known = [ratio for ratio in report.ratios if ratio.spec != "float" and ratio.limit != "<"]
    bounds = [ratio for ratio in report.ratios if ratio.limit == "<"]
    least, most = (end(known, key=lambda ratio: ratio.ratio) for end in (min, max))
    text = f"{report.task}: effective compression ratios lie between {_of(least)} and {_of(most)}."
    if bounds:
        text += f" {len(bounds)} quantized networks are worse than every float network measured, so have only a bound."
    return text


def _known(rows: Rows, spec: str) -> list[float]:
    """The sizes at which no seed has an upper bound only, smallest first."""
    bounded = {row["size"] for row in rows if row["spec"] == spec and row["limit"] == "<"}
    return sorted({row["size"] for row in of(rows, spec=spec)} - bounded)


def _shares(rows: Rows, spec: str, size: float) -> dict[int, float]:
    """By seed, the memory relative to that of a float network as good, in doublings."""
    return {row["seed"]: -log2(row["ratio"]) for row in of(rows, spec=spec, size=size)}


def _orders(rows: Rows, spec: str, sizes: Sequence[float]) -> Mapping[int, float]:
    """By seed, the rank correlation of size and relative memory."""
    seeds = sorted({row["seed"] for row in rows}) if len(sizes) > 1 else []
    return {seed: rank_correlation(sizes, [_shares(rows, spec, size)[seed] for size in sizes]) for seed in seeds}


def _why_not(report: Capacity, parts: Sequence[Part]) -> list[str]:
    """What bounds growth that is not shown, or a hypothesis."""
    known = [ratio for ratio in report.of("ternary") if ratio.limit != "<"]
    if not known or parts[-1].outcome == "shown":
        return []
    if known[-1].limit == ">=":
        return [
            f"{report.task}: the largest ternary networks are as good as the best float ones measured, so their ratios "
            "are lower bounds and cannot show growth."
        ]
    if known[0].efficiency > known[-1].efficiency:
        return [
            f"{report.task}: a hypothesis, which no arm tests: small ternary networks lose much, but small float ones "
            "lose more; where error falls steeply with size, a loss is worth few bytes (efficiency "
            f"{known[0].efficiency:.2f} at the smallest, {known[-1].efficiency:.2f} at the largest)."
        ]
    return []


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
