"""Study 09: SGD with mirrored weight noise, the flatness of where it ends, and what direct quantization costs there.

References:
    Sung, Choi, Park, Choi, Shin 2020 (arXiv 2009.02479).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fewbit.analysis import Table, sharpness
from fewbit.passes import Quantize, compress
from fewbit.plot import Panel, plot_curves
from fewbit.tasks import Task
from fewbit.train import SymmetricSGD
from studies.evidence.paired_tests import Comparison, difference, tested
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

KINDS: dict[str, dict[str, Any]] = {
    "symmetric": {},
    "one-sided": {"symmetric": False},
    "gauss": {"noise": "gauss"},
}
MEASURES = {
    "test": "test error (%)",
    "rise": "rise of the training loss under noise of 0.4 rms",
    "test int3": "test error at int3, direct (%)",
    "test ternary": "test error in ternary weights, direct (%)",
}
NOISE = 0.4


@dataclass(frozen=True)
class Scale:
    """Network, data and schedules of a run; `pictures` 0 stands for all."""

    pictures: int
    width: int
    epochs: int
    lr: float
    alphas: tuple[float, ...] = (0.1, 0.2, 0.4)


SMALL = Scale(pictures=2000, width=64, epochs=30, lr=0.05)
FULL = Scale(pictures=0, width=256, epochs=100, lr=0.05)


def run(setting: Setting) -> Study:
    """Train with every kind and size of noise at equal updates, and SGD at equal gradients as well."""
    scale = FULL if setting.full else SMALL
    arms = [("SGD", 0.0, 1), ("SGD", 0.0, 2), *((kind, alpha, 1) for kind in KINDS for alpha in scale.alphas)]
    runs = setting.sweep(
        partial(_trial, setting, scale),
        [
            {"seed": seed, "kind": kind, "alpha": alpha, "times": times}
            for seed in setting.seeds
            for kind, alpha, times in arms
        ],
        "weight-noise",
        "weight noise",
    )
    best = {kind: runs.choose("alpha", kind=kind) for kind in KINDS}
    rows = runs.open()
    parts = judge(rows, best, scale)
    beside = one_sided(rows, scale)
    picture = setting.out / "09-symmetric-weight-noise.png"
    plot_curves(
        [_panel(rows, measure, scale) for measure in MEASURES],
        "size of the noise / rms of a weight tensor",
        picture,
        "Perceptron trained with noise on its weights: error, flatness, and direct quantization",
    )
    return Study(
        number="09",
        name="symmetric-weight-noise",
        title="Symmetric weight noise (S-SGD)",
        claim=(
            "Gradients at two points mirrored around the weights lead to flatter minima that generalise better than "
            "those of SGD and of one-sided noise; networks from there bear direct quantization to few bits better."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(f"{one.sentence}." for one in beside)),
        setting=_describe(scale),
        command=f"python -m studies 09 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows, arms),),
        pictures=((picture.name, "Error, flatness and direct quantization by the size of the noise in training."),),
        comparisons=(*comparisons_of(parts), *beside),
        rows={"weight noise": rows},
    )


def judge(rows: Rows, best: dict[str, float], scale: Scale) -> list[Part]:
    """The parts of the claim: flatter and better than SGD, than SGD of as many gradients and than one-sided noise, and
    better than SGD when quantized directly.
    """
    most = max(scale.alphas)
    sgd = _arm(rows, "SGD", 0.0)
    mirrored = _arm(rows, "symmetric", best["symmetric"])
    bases = {
        "SGD": sgd,
        "SGD of as many gradients": _arm(rows, "SGD", 0.0, 2),
        "one-sided noise": _arm(rows, "one-sided", best["one-sided"]),
    }
    unit = f"of rise of the loss under noise of {NOISE:g} rms"
    statements = [
        (f"Symmetric noise ends flatter than {name}", difference(mirrored, base, "rise", unit=unit, digits=4))
        for name, base in bases.items()
    ]
    statements += [
        (f"Symmetric noise generalises better than {name}", difference(mirrored, base)) for name, base in bases.items()
    ]
    statements += [
        (
            f"Networks of symmetric noise bear direct quantization to {spec} better",
            difference(_arm(rows, "symmetric", most), sgd, f"test {spec}", unit=f"points at {spec}"),
        )
        for spec in ("int3", "ternary")
    ]
    return better(statements)


def one_sided(rows: Rows, scale: Scale) -> list[Comparison]:
    """How networks of one-sided noise of the same size bear direct quantization, beside symmetric ones."""
    most = max(scale.alphas)
    mirrored, single = (_arm(rows, kind, most) for kind in ("symmetric", "one-sided"))
    return tested(
        [difference(mirrored, single, f"test {spec}", unit=f"points at {spec}") for spec in ("int3", "ternary")]
    )


def _arm(rows: Rows, kind: str, alpha: float, times: int = 1) -> tuple[str, Rows]:
    names = {1: kind if kind == "SGD" else f"{kind} noise of {alpha:g}", 2: "SGD for twice the updates"}
    return names[times], of(rows, kind=kind, alpha=alpha, times=times)


def _trial(setting: Setting, scale: Scale, seed: int, kind: str, alpha: float, times: int) -> dict[str, Any]:
    task = _task(setting, scale, seed)
    noise = partial(SymmetricSGD, alpha=alpha, momentum=0.9, weight_decay=1e-4, seed=seed, **KINDS.get(kind, {}))
    epochs = times * scale.epochs
    model = task.trained(seed, task.size, epochs=epochs, lr=scale.lr, optimizer=noise, clip_norm=math.inf)
    x, y = next(iter(task.batches(seed))) if not scale.pictures else _all(task)
    found = sharpness(model.eval(), partial(_loss, x, y), scales=(0.1, 0.2, NOISE), directions=4)
    direct = {f"test {spec}": task.score(compress(model, Quantize(spec))) for spec in ("int4", "int3", "ternary")}
    return {
        "dev": task.measure(model),
        "test": task.score(model),
        "loss": found.loss,
        "rise": mean(found.rises(NOISE)),
        "curvature": mean(found.curvature),
    } | direct


def _task(setting: Setting, scale: Scale, seed: int) -> Task:
    if scale.pictures:
        return few_images_task(setting, scale.pictures, seed, size=scale.width)
    return named_task("perceptron", setting, size=scale.width)


def _all(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    batches: Any = task.batches(0)
    return batches.inputs, batches.labels


def _loss(x: torch.Tensor, y: torch.Tensor, model: nn.Module) -> float:
    return float(functional.cross_entropy(model(x), y))


def _panel(rows: Rows, measure: str, scale: Scale) -> Panel:
    curves = {
        f"{kind} noise": {
            alpha: [row[measure] for row in _arm(rows, kind if alpha else "SGD", alpha)[1]]
            for alpha in (0.0, *scale.alphas)
        }
        for kind in KINDS
    }
    levels = {"SGD for twice the updates": [row[measure] for row in _arm(rows, "SGD", 0.0, 2)[1]]}
    return Panel(MEASURES[measure], curves, levels)


def _table(rows: Rows, arms: Sequence[tuple[str, float, int]]) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for kind, alpha, times in arms:
        name, mine = _arm(rows, kind, alpha, times)
        values = [spread([row[key] for row in mine]) for key in ("dev", "test")]
        values += [spread([row[key] for row in mine], 4) for key in ("loss", "rise")]
        values.append(spread([row["curvature"] for row in mine], 3))
        values += [spread([row[f"test {spec}"] for row in mine]) for spec in ("int4", "int3", "ternary")]
        gradients = (1 if kind == "one-sided" or kind == "SGD" else 2) * times
        cells.append((name, gradients, *values))
    columns = (
        *("training", "gradients", "dev error (%)", "test error (%)", "training loss", f"rise under {NOISE:g} rms"),
        *("curvature", "int4, direct (%)", "int3, direct (%)", "ternary, direct (%)"),
    )
    return Table("Perceptron; gradients are relative to SGD", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST" if scale.pictures else "MNIST"
    return (
        f"{data}, perceptron of 2 hidden layers of {scale.width} units, {scale.epochs} epochs of SGD (momentum 0.9, "
        f"weight decay 1e-4) at rate {scale.lr:g} along half a cosine; a seed has training pictures of its own. Noise "
        "is in units of the rms of each weight tensor, of random signs where not said otherwise. The best size of "
        "noise is chosen on development data; direct quantization is compared at the largest."
    )
