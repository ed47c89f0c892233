"""Study 04: steps that follow the weights in retraining, and bits that go down in stages.

References:
    Shin, Boo, Sung 2017 (arXiv 1702.08171).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from fewbit.analysis import Table, grid
from fewbit.formats import Ternary
from fewbit.passes import Finetune, Pass, Quantize, compress, gradual
from fewbit.plot import plot_arms
from fewbit.quant import AdaptiveUniform, Spec, Uniform, fit_step
from fewbit.tasks import Task
from studies.evidence.paired_tests import Comparison, compare, difference, with_rows
from studies.evidence.rows import Rows, arm_of, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

ARMS = {
    "float": "float, retrained as long",
    "direct": "direct quantization",
    "fixed": "fixed step",
    "adaptive": "adaptive step",
    "clipped": "fixed step, masters clipped",
    "with clip": "adaptive step, masters clipped",
    "unclipped": "adaptive step, no clip",
    "often": "adaptive, 20 estimates, masters clipped",
    "often, unclipped": "adaptive, 20 estimates, no clip",
    "unfrozen": "adaptive to the very end, no clip",
    "learned": "learned step (LSQ)",
    "gradual": "fixed step, int4, int3, ternary",
    "gradual, adaptive": "adaptive step, int4, int3, ternary",
}
RECURRENT_ARMS = tuple(arm for arm in ARMS if arm not in ("unclipped", "unfrozen", "learned", "gradual"))
"""The adaptive step clips masters of a perceptron and none of a recurrent network: each has the other as an arm."""
STAGES = ("int4", "int3", "ternary")
BESIDE = (
    ("clipped", "fixed"),
    ("with clip", "adaptive"),
    ("unclipped", "adaptive"),
    ("often", "with clip"),
    ("often, unclipped", "often"),
    ("unfrozen", "adaptive"),
    ("learned", "adaptive"),
    ("gradual", "fixed"),
    ("adaptive", "float"),
)
"""What is compared beside the claim: the parts of the method, one at a time, and other methods."""


@dataclass(frozen=True)
class Scale:
    """Networks and epochs of a run; `pictures` 0 stands for all, `updates` are those of an epoch of text."""

    pictures: int
    width: int
    epochs: int
    retrain_epochs: int
    hidden: int
    updates: int
    recurrent_epochs: int
    recurrent_retrain_epochs: int
    lrs: tuple[float, ...] = (1e-3, 5e-3)
    recurrent_lrs: tuple[float, ...] = (2e-3,)


SMALL = Scale(
    pictures=5000,
    width=8,
    epochs=20,
    retrain_epochs=12,
    hidden=96,
    updates=50,
    recurrent_epochs=16,
    recurrent_retrain_epochs=6,
)
FULL = Scale(
    pictures=0,
    width=64,
    epochs=60,
    retrain_epochs=60,
    hidden=512,
    updates=150,
    recurrent_epochs=60,
    recurrent_retrain_epochs=60,
    recurrent_lrs=(1e-3, 5e-3),
)


def run(setting: Setting) -> Study:
    """Retrain every arm from the same float networks, for as many epochs, and compare."""
    scale = FULL if setting.full else SMALL
    images = _sweep(setting, scale, "perceptron", tuple(arm for arm in ARMS if arm != "with clip"), scale.lrs)
    text = _sweep(setting, scale, "lstm", RECURRENT_ARMS, scale.recurrent_lrs)
    parts = judge(images, text)
    beside = {"Perceptron": compare_beside(images, "points", 2), "LSTM": compare_beside(text, "bits", 3)}
    tables = (_table("Perceptron", "test error (%)", images, 2), _table("LSTM", "test (bits per character)", text, 3))
    pictures = []
    for name, rows, measure, digits in (
        ("perceptron", images, "test error (%)", 1),
        ("lstm", text, "test, bits per character", 3),
    ):
        path = setting.out / f"04-adaptive-steps-{name}.png"
        values = {ARMS[arm]: [row["test"] for row in of(rows, arm=arm)] for arm in ARMS if of(rows, arm=arm)}
        plot_arms(values, measure, path, f"Ternary weights of a {name}: how the step is found", digits)
        pictures.append((path.name, f"A {name} in ternary weights after retraining, by how its step is found."))
    return Study(
        number="04",
        name="adaptive-step-size",
        title="Adaptive step size, gradual quantization",
        claim=(
            "At 2 bits, a step that follows the weights during retraining gives better networks than one that stays "
            "as it was fitted to the float weights, and going down in bits gradually gives better ones still."
        ),
        verdict=verdict(parts),
        findings=(
            *(part.finding for part in parts),
            *(f"{name}: {one.sentence}." for name, found in beside.items() for one in found),
        ),
        setting=_describe(scale),
        command=f"python -m studies 04 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tables,
        pictures=tuple(pictures),
        comparisons=(*comparisons_of(parts), *(one for found in beside.values() for one in found)),
        rows={"perceptron": images, "LSTM": text},
    )


def judge(images: Rows, text: Rows) -> list[Part]:
    """The parts of the claim for both networks: adaptive steps are better than fixed ones, stages better still."""
    statements = []
    for name, rows, unit, digits in (("perceptron", images, "points", 2), ("LSTM", text, "bits", 3)):
        for says, arm, base in (
            ("A step that follows the weights is better than a fixed one", "adaptive", "fixed"),
            ("Stages with steps that follow are better still", "gradual, adaptive", "adaptive"),
        ):
            gap = difference(arm_of(rows, ARMS, arm), arm_of(rows, ARMS, base), unit=unit, digits=digits)
            statements.append((f"{says} ({name})", gap))
    return better(statements)


def compare_beside(rows: Rows, unit: str, digits: int) -> list[Comparison]:
    """The parts of the method one at a time, and other methods, tested together."""
    bases = {"with clip": "with clip" if of(rows, arm="with clip") else "adaptive"}
    pairs = [(arm, bases.get(base, base)) for arm, base in BESIDE]
    return compare(rows, with_rows(rows, pairs), "test", ARMS, unit=unit, digits=digits)


def _sweep(setting: Setting, scale: Scale, network: str, arms: Sequence[str], lrs: Sequence[float]) -> Rows:
    """Rows of every arm at the learning rate that is best for it on development data."""
    runs = setting.sweep(
        partial(_trial, setting, scale),
        grid(network=(network,), seed=setting.seeds, arm=arms, lr=lrs),
        "adaptive-steps",
        f"steps of a {network}",
    )
    best = {arm: runs.choose("lr", arm=arm) for arm in arms}
    return runs.open(lambda row: row["lr"] == best[row["arm"]])


def _trial(setting: Setting, scale: Scale, network: str, seed: int, arm: str, lr: float) -> dict[str, Any]:
    task = _task(setting, scale, network, seed)
    model = setting.network(task, seed)
    result = compress(model, *passes(arm, task.retraining(seed, lr=lr)))
    measured = {"dev": task.measure(result), "test": task.score(result), "excess": _excess(result), "drift": None}
    if arm != "float":
        first = _steps(compress(model, *passes("direct", task.retraining(seed, lr=lr))))
        measured["drift"] = mean(b / a for a, b in zip(first, _steps(result), strict=True))
    return measured


def _task(setting: Setting, scale: Scale, network: str, seed: int) -> Task:
    if network == "lstm":
        epochs = {"epochs": scale.recurrent_epochs, "retrain_epochs": scale.recurrent_retrain_epochs}
        return named_task("lstm", setting, size=scale.hidden, updates=scale.updates, **epochs)
    settings: dict[str, Any] = {
        "size": scale.width,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
    }
    if scale.pictures:
        return few_images_task(setting, scale.pictures, seed, **settings)
    return named_task("perceptron", setting, **settings)


def passes(arm: str, finetune: Finetune) -> list[Pass]:
    """What an arm does to the float network."""
    if arm == "float":
        return [finetune]
    if arm.startswith("gradual"):
        suffix = "+adaptive" if arm.endswith("adaptive") else ""
        return gradual([f"{bits}{suffix}" for bits in STAGES], finetune)
    if arm == "direct":
        return [Quantize("ternary")]
    steps: dict[str, Spec] = {
        "fixed": "ternary",
        "adaptive": "ternary+adaptive",
        "clipped": AdaptiveUniform(Ternary(), until=0.0, clip=True),
        "with clip": AdaptiveUniform(Ternary(), clip=True),
        "unclipped": AdaptiveUniform(Ternary(), clip=False),
        "often": AdaptiveUniform(Ternary(), estimates=20, clip=True),
        "often, unclipped": AdaptiveUniform(Ternary(), estimates=20, clip=False),
        "unfrozen": AdaptiveUniform(Ternary(), until=1.0, clip=False),
        "learned": "ternary+learned",
    }
    return [Quantize(steps[arm]), finetune]


def _steps(model: nn.Module) -> list[float]:
    stacks = [stack for stack in model.modules() if isinstance(stack, parametrize.ParametrizationList)]
    quantizers = [stack[0] for stack in stacks]
    return [float(each.step.mean()) for each in quantizers if isinstance(each, Uniform)]


def _excess(model: nn.Module) -> float | None:
    """Squared error of the masters at their step over that at the best step, mean over layers."""
    ratios = []
    for stack in model.modules():
        if isinstance(stack, parametrize.ParametrizationList):
            quantizer, master = stack[0], stack.original
            assert isinstance(quantizer, Uniform)
            assert isinstance(master, torch.Tensor)
            master = master.detach()
            best = Uniform(quantizer.format)
            best.step = fit_step(master.reshape(1, -1), quantizer.format)[0].to(master)
            errors = [(master - each.codes(master).dequantize()).square().sum() for each in (quantizer, best)]
            ratios.append(float(errors[0] / errors[1]))
    return mean(ratios) if ratios else None


def _table(network: str, measure: str, rows: Rows, digits: int) -> Table:
    cells = []
    for arm in [arm for arm in ARMS if of(rows, arm=arm)]:
        mine = of(rows, arm=arm)
        about = (
            None if mine[0][key] is None else round(mean(row[key] for row in mine), 2) for key in ("excess", "drift")
        )
        values = (spread([row[part] for row in mine], digits) for part in ("dev", "test"))
        cells.append((ARMS[arm], f"{mine[0]['lr']:g}", *values, *about))
    columns = ("weights", "rate", measure.replace("test", "dev"), measure, "squared error / best", "step / first step")
    return Table(f"{network}, all arms at equal epochs; last columns are means over layers", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST, others for each seed," if scale.pictures else "MNIST"
    return (
        f"{data} with a perceptron of 2 hidden layers of {scale.width} units, {scale.epochs} epochs in float and "
        f"{scale.retrain_epochs} of retraining, at the rate best on development data of "
        f"{', '.join(f'{lr:g}' for lr in scale.lrs)} for each row; WikiText-2 with "
        f"an LSTM of 2 layers of {scale.hidden} units, {scale.recurrent_epochs} and {scale.recurrent_retrain_epochs} "
        f"epochs of {scale.updates} updates. All weights are ternary with one step a tensor, signals stay float. "
        "Adaptive steps are estimated after each epoch of the first half; masters are clipped in the perceptron, and "
        "in the LSTM where the row says so. Rows of several stages share the epochs, the last stage has half."
    )
