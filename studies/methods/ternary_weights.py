"""Ternary weights by least squared error, fixed and adaptive, against the threshold rule of ternary weight networks.

References:
    Li, Zhang, Liu 2016 (arXiv 1605.04711).
"""

from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import nn

from fewbit.analysis import Table, grid
from fewbit.analysis.effective_weights import effective_copy, effective_weights
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_arms
from fewbit.tasks import Task
from studies.evidence.paired_tests import difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

ARMS = {
    "ternary": "least squared error, fixed",
    "ternary+adaptive": "least squared error, adaptive",
    "ternary+twn": "threshold rule (TWN)",
}
"""Specs of the arms, and what they are called."""
PEER = "ternary+twn"
MARGIN = 1.0
"""Points of test error: an arm is as good as its peer if it is not worse by so much."""


@dataclass(frozen=True)
class Scale:
    """Networks, data and learning rates of a run; `pictures` 0 stands for all."""

    pictures: int
    width: int
    epochs: int
    retrain_epochs: int
    lrs: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)


SMALL = Scale(pictures=2000, width=16, epochs=20, retrain_epochs=20)
FULL = Scale(pictures=0, width=64, epochs=60, retrain_epochs=60)


def run(setting: Setting) -> Study:
    """Retrain all arms of a seed from one float network, and compare them at the learning rate best for each."""
    scale = FULL if setting.full else SMALL
    runs = setting.sweep(
        partial(_trial, setting, scale),
        grid(seed=setting.seeds, arm=ARMS, lr=scale.lrs),
        "ternary-weights",
        "ternary weights",
    )
    best = {arm: runs.choose("lr", arm=arm) for arm in ARMS}
    tried = runs.open()
    rows = [row for row in tried if row["lr"] == best[row["arm"]]]
    parts = judge(rows)
    picture = setting.out / "ternary-weights.png"
    values = {name: [row["test"] for row in of(rows, arm=arm)] for arm, name in ARMS.items()}
    plot_arms(values, "test error (%)", picture, "Ternary weights of a perceptron: how codes and step are found")
    return Study(
        number="",
        name="ternary-weights",
        title="Ternary weights: least squared error and the threshold of TWN",
        claim=(
            "After retraining, a ternary step fitted for the least squared error, and one that adapts during "
            "retraining, are at least as good as the threshold rule of ternary weight networks."
        ),
        verdict=verdict(parts),
        findings=tuple(part.finding for part in parts),
        setting=_describe(scale),
        command=f"python -m studies ternary-weights --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows),),
        pictures=((picture.name, "A perceptron in ternary weights after retraining, by the rule for its codes."),),
        comparisons=comparisons_of(parts),
        rows={"ternary weights": tried},
    )


def judge(rows: Rows) -> list[Part]:
    """The two parts of the claim; each is shown only if a test excludes that the arm is worse by `MARGIN`."""
    peer = (ARMS[PEER], of(rows, arm=PEER))
    return as_good(
        [
            (
                f"{name[0].upper()}{name[1:]}, is as good as the {ARMS[PEER]}",
                difference((name, of(rows, arm=arm)), peer),
            )
            for arm, name in ARMS.items()
            if arm != PEER
        ],
        MARGIN,
    )


def _trial(setting: Setting, scale: Scale, seed: int, arm: str, lr: float) -> dict[str, Any]:
    task = _task(setting, scale, seed)
    result = compress(setting.network(task, seed), Quantize(arm), task.retraining(seed, lr=lr))
    return {"dev": task.measure(result), "test": task.score(result), "zeros": _zeros(result)}


def _task(setting: Setting, scale: Scale, seed: int) -> Task:
    sizes: dict[str, Any] = {"size": scale.width, "epochs": scale.epochs, "retrain_epochs": scale.retrain_epochs}
    if scale.pictures:
        return few_images_task(setting, scale.pictures, seed, **sizes)
    return named_task("perceptron", setting, **sizes)


def _zeros(model: nn.Module) -> float:
    """Share of weights that are 0, in %."""
    weights = effective_weights(effective_copy(model)).values()
    return 100 * float((torch.cat([weight.flatten() for weight in weights]) == 0).float().mean())


def _table(rows: Rows) -> Table:
    cells = []
    for arm, name in ARMS.items():
        mine = of(rows, arm=arm)
        errors = (spread([row[part] for row in mine]) for part in ("dev", "test"))
        cells.append((name, f"`{arm}`", f"{mine[0]['lr']:g}", *errors, round(mean(row["zeros"] for row in mine), 1)))
    columns = ("codes and step", "spec", "rate", "dev error (%)", "test error (%)", "weights 0 (%)")
    return Table("All arms at equal epochs", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST" if scale.pictures else "MNIST"
    return (
        f"{data}, perceptron of 2 hidden layers of {scale.width} units, {scale.epochs} epochs in float and "
        f"{scale.retrain_epochs} of retraining at the rate best on development data of "
        f"{', '.join(f'{lr:g}' for lr in scale.lrs)} for each arm. All weights are ternary with one step a tensor, "
        "signals stay float. A seed has its own training pictures, float network and batches, and is one pair. "
        f"As good means: not worse by {MARGIN:g} point, set before the run."
    )
