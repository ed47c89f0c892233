"""Study 27: feature maps, kernels, and both, pruned by the best of random masks to one sparsity.

References:
    Anwar, Sung 2016 (arXiv 1610.09639).
"""

from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from torch import Tensor

from fewbit.analysis import Table
from fewbit.passes import Pass, PruneChannels, PruneKernels, compress
from fewbit.plot import plot_arms
from fewbit.prune import BestOfN, Importance
from fewbit.tasks import Task
from studies.evidence.paired_tests import difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, better, comparisons_of, verdict
from studies.tasks.pruned_sizes import chain_of, convolutions_of
from studies.tasks.recorded_search import RecordedSearch
from studies.tasks.staged_pictures import (
    SEARCHED,
    channels_last,
    colour_task,
    mask_scores,
    retraining,
    staged_network,
)

ARMS = {
    "dense": "dense, trained on as long",
    "maps": "maps alone",
    "kernels": "kernels alone",
    "both": "maps, then kernels",
}
LEVELS = {"lower": 0.80, "higher": 0.87}
"""Wanted sparsity of convolutions; maps alone come as near as whole maps allow, and the other arms follow them."""
MAPS_FIRST = 0.3
"""Share of the maps that the combination prunes before kernels, as in the paper's example."""
MARGIN = 1.0
"""Points of error by which a pruned network may be worse than the dense one."""
WHOLE = ("conv1a",)
"""The first convolution reads few maps; its kernels stay."""


@dataclass(frozen=True)
class Scale:
    """Maps of the first stage, epochs of the float network and of all retraining, and masks that a search tries."""

    maps: int
    epochs: int
    retrain: int
    tries: int
    lr: float = 1e-2
    retrain_lr: float = 5e-3


SMALL = Scale(maps=16, epochs=8, retrain=4, tries=100)
FULL = Scale(maps=128, epochs=100, retrain=40, tries=100)


def run(setting: Setting) -> Study:
    """Prune one network a seed in three ways to two sparsities, retrain at equal epochs, and compare."""
    scale = FULL if setting.full else SMALL
    configs = [
        {"seed": seed, "level": level, "arm": arm}
        for seed in setting.seeds
        for level, arm in [("none", "dense"), *((level, arm) for level in LEVELS for arm in list(ARMS)[1:])]
    ]
    rows = setting.sweep(partial(_trial, setting, scale), configs, "coarse-pruning", "coarse pruning").open()
    parts = judge(rows)
    tables, pictures = [], []
    for level in LEVELS:
        path = setting.out / f"27-coarse-pruning-{level}.png"
        measured = {told: [row["test"] for row in _arm(rows, level, arm)] for arm, told in ARMS.items()}
        gone = told_sparsity(rows, level)
        plot_arms(measured, "test error (%)", path, f"Convolutions at a sparsity of {gone}, after retraining")
        pictures.append((path.name, f"Test error after retraining at a sparsity of {gone}."))
        tables.append(_table(level, rows, scale))
    return Study(
        number="27",
        name="coarse-pruning",
        title="Coarse pruning of feature maps and kernels",
        claim=(
            "Feature maps and kernels pruned together lose less than either alone at the same sparsity, and more than "
            "85 % of convolution weights go at a rise of the error below 1 point."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *searched(rows)),
        setting=_describe(scale, setting.full),
        command=f"python -m studies 27{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(tables),
        pictures=tuple(pictures),
        comparisons=comparisons_of(parts),
        rows={"coarse-pruning": rows},
    )


def judge(rows: Rows) -> list[Part]:
    """The parts of the claim: both together against each alone at each sparsity, and against the dense network, which
    was trained as long, at the higher one.
    """
    both = {level: (ARMS["both"], _arm(rows, level, "both")) for level in LEVELS}
    statements = []
    for level in LEVELS:
        for arm in ("maps", "kernels"):
            gap = difference(both[level], (ARMS[arm], _arm(rows, level, arm)))
            statements.append((f"Both together lose less than {ARMS[arm]} at the {level} sparsity", gap))
    level = list(LEVELS)[-1]
    near = difference(both[level], (ARMS["dense"], _arm(rows, level, "dense")))
    says = f"Both together are within {MARGIN:g} point of the dense network at the {level} sparsity"
    return [*better(statements), *as_good([(says, near)], MARGIN)]


def searched(rows: Rows) -> list[str]:
    """What the searches saw, on development data and before retraining."""
    found = []
    for level in LEVELS:
        for arm in list(ARMS)[1:]:
            for number, what in enumerate(("maps", "kernels") if arm == "both" else (arm,)):
                seen = [row["searches"][number] for row in _arm(rows, level, arm)]
                if seen:
                    told = ", ".join(f"{name} {spread([one[name] for one in seen], 1)}" for name in ("best", "median"))
                    found.append(
                        f"Development error (%) under {seen[0]['masks']} random masks of {what}, {level} sparsity, "
                        f"{ARMS[arm]}: {told}."
                    )
    return found


def told_sparsity(rows: Rows, level: str) -> str:
    """The sparsity of the combination, as measured."""
    found = [100 * row["sparsity"] for row in _arm(rows, level, "both")]
    return f"{spread(found[:1], 1)} %" if found else "nothing"


def _trial(setting: Setting, scale: Scale, seed: int, level: str, arm: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"epochs": scale.epochs, "lr": scale.lr, "retrain_lr": scale.retrain_lr}
    task, images = colour_task(setting, size=scale.maps, **settings)
    example = images.dev[0][:1]
    score, rescore = mask_scores(images)
    search = RecordedSearch(BestOfN(score, scale.tries, seed, rescore=rescore))
    model = setting.network(task, seed)
    whole = convolutions_of(model, example)
    *first, last = recipe(arm, level, scale, task, seed, example, search)
    pruned = compress(model, *first)
    row: dict[str, Any] = {"dev before": task.measure(pruned), "test before": task.score(pruned)}
    result = compress(pruned, last)
    left = convolutions_of(result, example)
    return row | {
        "dev": task.measure(result),
        "test": task.score(result),
        "sparsity": 1 - left.weights / whole.weights,
        "weights": left.weights,
        "macs": left.macs,
        "searches": search.summary(),
    }


def recipe(
    arm: str, level: str, scale: Scale, task: Task, seed: int, example: Tensor, search: Importance
) -> list[Pass]:
    """The passes of an arm, of which the last one is a retraining; all arms have the same epochs of it."""
    many = scale.retrain
    if arm == "dense":
        return [retraining(task, seed, many)]
    maps, kernels = ratios(arm, level, scale)
    cut = PruneChannels(maps, example, search)
    holes = PruneKernels(kernels, example, search, keep=WHOLE)
    if arm == "maps":
        return [cut, channels_last, retraining(task, seed, many)]
    if arm == "kernels":
        return [holes, channels_last, retraining(task, seed, many)]
    between = retraining(task, seed, many // 2)
    return [cut, channels_last, between, holes, channels_last, retraining(task, seed + 1000, many - many // 2)]


def ratios(arm: str, level: str, scale: Scale) -> tuple[float, float]:
    """Shares of maps and of kernels that an arm prunes, so that all arms of a level leave as many kernels."""
    chain = chain_of(staged_network(3, scale.maps, 10))
    alone = chain.map_ratio(LEVELS[level])
    left = chain.kernels(alone)
    if arm == "maps":
        return alone, 0.0
    first = MAPS_FIRST if arm == "both" else 0.0
    return first, chain.kernel_ratio(left, first)


def _arm(rows: Rows, level: str, arm: str) -> Rows:
    return of(rows, arm=arm, level="none" if arm == "dense" else level)


def _table(level: str, rows: Rows, scale: Scale) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm, told in ARMS.items():
        mine = _arm(rows, level, arm)
        if mine:
            errors = [spread([row[key] for row in mine], 1) for key in ("test before", "dev", "test")]
            sparsity = spread([100 * row["sparsity"] for row in mine], 1)
            weights, macs = (round(mean(row[key] for row in mine)) for key in ("weights", "macs"))
            shares = (0.0, 0.0) if arm == "dense" else ratios(arm, level, scale)
            cells.append((told, *(f"{share:.2f}" for share in shares), sparsity, weights, macs, *errors))
    columns = (
        "pruned",
        "share of maps",
        "share of kernels",
        "sparsity (%)",
        "weights",
        "MACs",
        "test error (%) before the last retraining",
        "dev error (%)",
        "test error (%)",
    )
    return Table(f"Convolutions at the {level} sparsity", columns, tuple(cells))


def _describe(scale: Scale, full: bool) -> str:
    data = "CIFAR-10" if full else "9,000 training, 1,000 development and 2,000 test pictures of CIFAR-10"
    width = "" if full else ", far fewer than in the paper"
    return (
        f"{data}; five convolutions 3 x 3 in three stages with max pooling, of {scale.maps}, {scale.maps} and "
        f"{2 * scale.maps} maps{width}, with batch norm: {scale.epochs} epochs, then {scale.retrain} of retraining in "
        "every arm, which the combination divides between both of its steps. Masks are the best of "
        f"{scale.tries} random ones over all layers at once, on {SEARCHED} development pictures, and the best five of "
        "them are judged on as many others. All arms of a level leave as many kernels by the "
        "closed form; those of the first convolution stay. Seeds share their pictures, and differ "
        "in first weights, order of batches and masks."
    )
