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
from studies.evidence.pairs import Pairs, Rows, chosen, of, pairs
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import verdict
from studies.tasks.named import named_task

ARMS = {
    "float": "float, retrained as long",
    "direct": "direct quantization",
    "fixed": "fixed step",
    "adaptive": "adaptive step",
    "clipped": "fixed step, masters clipped",
    "unclipped": "adaptive step, no clip",
    "unfrozen": "adaptive to the very end, no clip",
    "learned": "learned step (LSQ)",
    "gradual": "fixed step, int4, int3, ternary",
    "gradual, adaptive": "adaptive step, int4, int3, ternary",
}
RECURRENT_ARMS = ("float", "direct", "fixed", "adaptive", "clipped", "unclipped", "gradual, adaptive")
STAGES = ("int4", "int3", "ternary")


@dataclass(frozen=True)
class Scale:
    """Networks and epochs of a run."""

    width: int
    epochs: int
    retrain_epochs: int
    repeats: int
    hidden: int
    recurrent_epochs: int
    recurrent_retrain_epochs: int
    lrs: tuple[float, ...] = (1e-3, 5e-3)
    recurrent_lrs: tuple[float, ...] = (2e-3,)


SMALL = Scale(width=8, epochs=8, retrain_epochs=5, repeats=2, hidden=96, recurrent_epochs=8, recurrent_retrain_epochs=3)
FULL = Scale(
    width=64,
    epochs=60,
    retrain_epochs=60,
    repeats=2,
    hidden=512,
    recurrent_epochs=60,
    recurrent_retrain_epochs=60,
    recurrent_lrs=(1e-3, 5e-3),
)


def run(setting: Setting) -> Study:
    """Retrain every arm from the same float networks, for as many epochs, and compare."""
    scale = FULL if setting.full else SMALL
    images = _sweep(setting, scale, "perceptron", tuple(ARMS), scale.lrs, scale.repeats)
    text = _sweep(setting, scale, "lstm", RECURRENT_ARMS, scale.recurrent_lrs, 1)
    parts, findings = [], []
    for name, rows, unit, digits in (("perceptron", images, "points", 2), ("LSTM", text, "bits", 3)):
        following, staged = against(rows, "adaptive", "fixed"), against(rows, "gradual, adaptive", "adaptive")
        parts += [following.better, staged.better]
        findings += [f"{name}: {pair.sentence(unit, digits)}." for pair in (following, staged)]
    drift = setting.sweep(
        partial(_drift, setting, scale),
        grid(seed=setting.seeds, arm=("adaptive", "unclipped"), lr=scale.recurrent_lrs[:1]),
        "step-drift",
        "where steps end",
    )
    findings += [*details(images), clipping(text, drift)]
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
        findings=tuple(findings),
        setting=_describe(scale),
        command="python -m studies 04",
        seeds=setting.seeds,
        tables=tables,
        pictures=tuple(pictures),
    )


def against(rows: Rows, arm: str, base: str) -> Pairs:
    """Two arms, each at the learning rate that was chosen for it."""
    return pairs((ARMS[arm], of(rows, arm=arm)), (ARMS[base], of(rows, arm=base)))


def clipping(rows: Rows, drift: Rows) -> str:
    """What the two halves of the method, estimates and clip, do to the LSTM alone and together."""
    clip, estimates = against(rows, "clipped", "fixed"), against(rows, "unclipped", "fixed")
    text = f"LSTM, the two halves of the method apart: {clip.sentence('bits', 3)}; {estimates.sentence('bits', 3)}."
    if against(rows, "adaptive", "fixed").worse and not clip.worse and not estimates.worse:
        both, free = (mean(row["drift"] for row in of(drift, arm=arm)) for arm in ("adaptive", "unclipped"))
        text += (
            " Neither does harm alone; together they do. Masters that were cut at the border of the last step bring "
            f"about a smaller next step, and so on: the steps end at {both:.2f} of their first value (mean over "
            f"layers), without the clip at {free:.2f}. For recurrent networks use `AdaptiveUniform(clip=False)`."
        )
    return text


def details(rows: Rows) -> list[str]:
    """What else the perceptron shows: the freeze, learned steps, stages alone, and how good the steps are."""
    found = [against(rows, arm, base) for arm, base in (("unfrozen", "adaptive"), ("learned", "adaptive"))]
    found += [against(rows, "gradual", "fixed"), against(rows, "adaptive", "float")]
    sentences = [f"Perceptron: {pair.sentence('points')}." for pair in found]
    if found[0].worse:
        sentences[0] += " The last estimate makes a network that was never trained: the freeze is needed."
    if not found[2].better:
        sentences[2] += (
            " The stages take epochs from the last one, which needs them where direct quantization is not hopeless."
        )
    excess = {arm: mean(row["excess"] for row in of(rows, arm=arm)) for arm in ("fixed", "adaptive", "unfrozen")}
    told = ", ".join(f"{ARMS[arm]} {value:.2f}" for arm, value in excess.items())
    return [*sentences, f"Squared error of the weights over that at their best step, mean over layers: {told}."]


def _sweep(
    setting: Setting, scale: Scale, network: str, arms: Sequence[str], lrs: Sequence[float], repeats: int
) -> Rows:
    """Rows of every arm at the learning rate that is best for it on development data."""
    rows = setting.sweep(
        partial(_trial, setting, scale),
        grid(network=(network,), seed=setting.seeds, repeat=range(repeats), arm=arms, lr=lrs),
        "adaptive-steps",
        f"steps of a {network}",
    )
    best = {arm: chosen(of(rows, arm=arm), "lr") for arm in arms}
    return [row for row in rows if row["lr"] == best[row["arm"]]]


def _trial(setting: Setting, scale: Scale, network: str, seed: int, repeat: int, arm: str, lr: float) -> dict[str, Any]:
    task = _task(setting, scale, network)
    model = setting.network(task, seed)
    result = compress(model, *passes(arm, task.retraining(1000 * repeat + seed, lr=lr)))
    return {"dev": task.measure(result), "test": task.score(result), "excess": _excess(result)}


def _task(setting: Setting, scale: Scale, network: str) -> Task:
    if network == "lstm":
        epochs = {"epochs": scale.recurrent_epochs, "retrain_epochs": scale.recurrent_retrain_epochs}
        return named_task("lstm", setting, size=scale.hidden, **epochs)
    return named_task("perceptron", setting, size=scale.width, epochs=scale.epochs, retrain_epochs=scale.retrain_epochs)


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
        "clipped": AdaptiveUniform(Ternary(), until=0.0),
        "unclipped": AdaptiveUniform(Ternary(), clip=False),
        "unfrozen": AdaptiveUniform(Ternary(), until=1.0, clip=False),
        "learned": "ternary+learned",
    }
    return [Quantize(steps[arm]), finetune]


def _drift(setting: Setting, scale: Scale, seed: int, arm: str, lr: float) -> dict[str, Any]:
    """Steps of the LSTM after retraining over those before, mean over layers."""
    task = _task(setting, scale, "lstm")
    model = setting.network(task, seed)
    first = _steps(compress(model, *passes("direct", task.retraining(seed, lr=lr))))
    last = _steps(compress(model, *passes(arm, task.retraining(seed, lr=lr))))
    return {"drift": mean(b / a for a, b in zip(first, last, strict=True))}


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
        excess = None if mine[0]["excess"] is None else round(mean(row["excess"] for row in mine), 2)
        values = (spread([row[part] for row in mine], digits) for part in ("dev", "test"))
        cells.append((ARMS[arm], f"{mine[0]['lr']:g}", *values, excess))
    columns = ("weights", "rate", measure.replace("test", "dev"), measure, "squared error / best")
    return Table(f"{network}, all arms at equal epochs", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        f"MNIST with a perceptron of 2 hidden layers of {scale.width} units, {scale.epochs} epochs in float and "
        f"{scale.retrain_epochs} of retraining, {scale.repeats} retrainings with other batches a seed, at the rate "
        f"best on development data of {', '.join(f'{lr:g}' for lr in scale.lrs)} for each row; WikiText-2 with "
        f"an LSTM of 2 layers of {scale.hidden} units, {scale.recurrent_epochs} and {scale.recurrent_retrain_epochs} "
        "epochs of 150 updates. All weights are ternary with one step a tensor, signals stay float. Rows of several "
        "stages share the epochs, the last stage has half."
    )
