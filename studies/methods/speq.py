"""Study 08: self-distillation at random precision (SPEQ) against plain retraining and against a float teacher.

References:
    Boo, Shin, Choi, Sung 2020 (arXiv 2009.14502).
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from fewbit.analysis import Table
from fewbit.distill import SPEQ, LogitKD
from fewbit.distill.speq import finer_signals, finer_sites
from fewbit.passes import Quantize, compress
from fewbit.plot import Panel, plot_arms, plot_curves
from fewbit.tasks import Task
from fewbit.train import Objective, linear
from studies.evidence.paired_tests import Comparison, compare, difference, with_rows
from studies.evidence.rows import Rows, arm_of, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task, perceptron_task

ARMS = {
    "float": "float, retrained as long",
    "direct": "direct quantization",
    "plain": "plain retraining",
    "longer": "plain retraining, 1.5 times as long",
    "teacher": "a float teacher (KD)",
    "SPEQ": "SPEQ: cosine, u = 0.5",
    "fixed": "cosine, u = 1: a fixed fine teacher",
    "kl": "KL divergence, u = 0.5",
}
CHANCES = (0.0, 0.25, 0.5, 0.75, 1.0)
RECURRENT = ("float", "direct", "plain", "teacher", "SPEQ")


MARGINS = {"perceptron": 0.5, "LSTM": 0.005}
"""Points of test error and bits per character: an arm is as good as its base if it is not worse by so much."""
BESIDE = (("SPEQ", "longer"), ("SPEQ", "fixed"), ("SPEQ", "kl"), ("teacher", "plain"))
"""What is compared beside the claim: equal gradients, other forms of the method, and the teacher itself."""


@dataclass(frozen=True)
class Scale:
    """Networks and epochs of a run; `pictures` 0 stands for all, `updates` are those of an epoch of text."""

    pictures: int
    width: int
    layers: int
    epochs: int
    retrain_epochs: int
    hidden: int
    updates: int
    recurrent_epochs: int
    recurrent_retrain_epochs: int
    lr: float = 3e-3
    recurrent_lr: float = 2e-3


SMALL = Scale(
    pictures=2000,
    width=16,
    layers=3,
    epochs=20,
    retrain_epochs=20,
    hidden=96,
    updates=50,
    recurrent_epochs=16,
    recurrent_retrain_epochs=6,
)
FULL = Scale(
    pictures=0,
    width=64,
    layers=4,
    epochs=60,
    retrain_epochs=60,
    hidden=512,
    updates=150,
    recurrent_epochs=60,
    recurrent_retrain_epochs=30,
)


def run(setting: Setting) -> Study:
    """Retrain every arm from the same quantized networks for as many updates, and compare."""
    scale = FULL if setting.full else SMALL
    images = _sweep(setting, scale, "perceptron", [(arm, None) for arm in ARMS])
    chances = _sweep(setting, scale, "perceptron", [("chance", chance) for chance in CHANCES])
    text = _sweep(setting, scale, "lstm", [(arm, None) for arm in RECURRENT])
    parts = judge(images, text)
    beside = {"Perceptron": compare_beside(images, "points", 2), "LSTM": compare_beside(text, "bits", 3)}
    tables = (_table("Perceptron", "test error (%)", images, 2), _table("LSTM", "test (bits per character)", text, 3))
    pictures = []
    for name, rows, measure, digits in (
        ("perceptron", images, "test error (%)", 1),
        ("lstm", text, "test, bits per character", 3),
    ):
        path = setting.out / f"08-stochastic-precision-{name}.png"
        values = {told: [row["test"] for row in of(rows, arm=arm)] for arm, told in ARMS.items() if of(rows, arm=arm)}
        plot_arms(values, measure, path, f"A {name} with few-bit signals, by what it learns from", digits)
        pictures.append((path.name, f"A {name} with few-bit weights and signals, by what it learns from."))
    path = setting.out / "08-stochastic-precision-chance.png"
    curve = {chance: [row["test"] for row in of(chances, chance=chance)] for chance in CHANCES}
    levels = {ARMS["plain"]: [row["test"] for row in of(images, arm="plain")]}
    panel = Panel("test error (%)", {"SPEQ, cosine": curve}, levels)
    plot_curves([panel], "chance u that a signal of the teacher is fine", path, "How often the teacher sees finely")
    pictures.append((path.name, "Test error by the chance that a signal of the teacher has 8 bits."))
    return Study(
        number="08",
        name="stochastic-precision",
        title="Self-distillation at random precision (SPEQ)",
        claim=(
            "A network of few-bit signals that learns from itself at randomly finer signals is better than one that is "
            "retrained plainly, and needs no teacher network to be as good as with one."
        ),
        verdict=verdict(parts),
        findings=(
            *(part.finding for part in parts),
            *(f"{name}: {one.sentence}." for name, found in beside.items() for one in found),
            ordering(of(images, arm="SPEQ")),
        ),
        setting=_describe(scale),
        command=f"python -m studies 08 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(*tables, _chances(chances)),
        pictures=tuple(pictures),
        comparisons=(*comparisons_of(parts), *(one for found in beside.values() for one in found)),
        rows={"perceptron": images, "chances": chances, "LSTM": text},
    )


def judge(images: Rows, text: Rows) -> list[Part]:
    """The parts of the claim for both networks: better than plain retraining, as good as with a float teacher."""
    families = (("perceptron", images, "points", 2), ("LSTM", text, "bits", 3))
    gaps = {
        (name, base): difference(arm_of(rows, ARMS, "SPEQ"), arm_of(rows, ARMS, base), unit=unit, digits=digits)
        for name, rows, unit, digits in families
        for base in ("plain", "teacher")
    }
    parts = better([(f"SPEQ is better than plain retraining ({name})", gaps[name, "plain"]) for name, *_ in families])
    for name, *_ in families:
        parts += as_good([(f"SPEQ is as good as a float teacher ({name})", gaps[name, "teacher"])], MARGINS[name])
    return parts


def compare_beside(rows: Rows, unit: str, digits: int) -> list[Comparison]:
    """Other forms of the method and other budgets, tested together."""
    return compare(rows, with_rows(rows, BESIDE), "test", ARMS, unit=unit, digits=digits)


def ordering(rows: Rows) -> str:
    """How good the network is as its own teacher: at fine signals everywhere."""
    fine = [row["test at fine signals"] for row in rows]
    coarse = [row["test"] for row in rows]
    return (
        f"The perceptron after SPEQ with its signals at 8 bits, as it taught itself: {spread(fine)} % test error "
        f"against {spread(coarse)} % with the signals that it runs with."
    )


def _sweep(setting: Setting, scale: Scale, network: str, arms: list[tuple[str, float | None]]) -> Rows:
    return setting.sweep(
        partial(_trial, setting, scale),
        [
            {"network": network, "seed": seed, "arm": arm, "chance": chance}
            for seed in setting.seeds
            for arm, chance in arms
        ],
        "self-distillation",
        f"precision, {network}",
    ).open()


def _trial(setting: Setting, scale: Scale, network: str, seed: int, arm: str, chance: float | None) -> dict[str, Any]:
    task = _task(setting, scale, network, seed)
    model = setting.network(task, seed)
    result = model
    if arm != "float":
        calibration = list(islice(task.batches(seed), 4))
        result = compress(model, Quantize(*_specs(network), calibration=calibration))
    finetune = task.retraining(seed)
    if arm == "longer":
        finetune = replace(finetune, epochs=3 * finetune.epochs // 2)
    taught = replace(finetune, objective=_objective(arm, chance, task, model))
    result = result if arm == "direct" else compress(result, taught)
    measured: dict[str, Any] = {"dev": task.measure(result), "test": task.score(result)}
    if arm == "SPEQ":
        with finer_signals(finer_sites(result, 8), 8):
            measured["test at fine signals"] = task.score(result)
    return measured


def _objective(arm: str, chance: float | None, task: Task, model: torch.nn.Module) -> Objective:
    if arm == "teacher":
        return LogitKD(model, temperature=2.0, weight=linear(1.0, 0.0))
    if arm == "SPEQ":
        return SPEQ()
    if arm == "fixed":
        return SPEQ(chance=1.0)
    if arm == "kl":
        return SPEQ(loss="kl")
    return task.objective if chance is None else SPEQ(chance=chance)


def _specs(network: str) -> tuple[Any, Any]:
    """Weights and signals: the input of the network and the scores stay as they are."""
    if network == "perceptron":
        return {"1": "int8", "*": "int4+adaptive"}, {"1": None, "*": "uint2+learned"}
    return {"embedding": "int8", "head": "int8", "*": "int4+adaptive"}, {"*.cell": None, "*": "int2+learned"}


def _task(setting: Setting, scale: Scale, network: str, seed: int) -> Task:
    if network == "lstm":
        return named_task(
            "lstm",
            setting,
            size=scale.hidden,
            updates=scale.updates,
            epochs=scale.recurrent_epochs,
            retrain_epochs=scale.recurrent_retrain_epochs,
            retrain_lr=scale.recurrent_lr,
        )
    settings: dict[str, Any] = {
        "size": scale.width,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
        "retrain_lr": scale.lr,
        "layers": scale.layers,
    }
    if scale.pictures:
        task = few_images_task(setting, scale.pictures, seed, make=perceptron_task, **settings)
    else:
        task = named_task("perceptron", setting, **settings)
    return replace(task, name=f"{task.name}, {scale.layers} layers")


def _table(network: str, measure: str, rows: Rows, digits: int) -> Table:
    cells = []
    for arm, told in ARMS.items():
        mine = of(rows, arm=arm)
        if mine:
            cells.append((told, *(spread([row[part] for row in mine], digits) for part in ("dev", "test"))))
    return Table(f"{network}, all arms at equal updates", ("", measure.replace("test", "dev"), measure), tuple(cells))


def _chances(rows: Rows) -> Table:
    cells = tuple(
        (f"{chance:g}", *(spread([row[part] for row in of(rows, chance=chance)]) for part in ("dev", "test")))
        for chance in CHANCES
    )
    return Table("Perceptron, SPEQ by its chance of fine signals", ("u", "dev error (%)", "test error (%)"), cells)


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST" if scale.pictures else "MNIST"
    recurrent = f"{scale.recurrent_epochs} and {scale.recurrent_retrain_epochs} epochs of {scale.updates} updates"
    return (
        f"{data}, perceptron of {scale.layers} hidden layers of {scale.width} units, weights int4 (first layer int8), "
        f"hidden signals 2 bits with learned clips, {scale.epochs} epochs in float and {scale.retrain_epochs} of "
        "retraining, training pictures of its own for each seed; WikiText-2 characters, LSTM of 2 layers of "
        f"{scale.hidden} units, weights int4, inputs and hidden signals 2 bits, cells float, {recurrent}. The float "
        "teacher has the coefficient that falls from 1 to 0 at T = 2. SPEQ computes one more forward pass an update "
        f"than plain retraining. As good means: not worse by {MARGINS['perceptron']:g} points or {MARGINS['LSTM']:g} "
        "bits, set before the runs."
    )
