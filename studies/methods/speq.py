"""Study 08: self-distillation at random precision (SPEQ) against plain retraining and against a float teacher.

References:
    Boo, Shin, Choi, Sung 2020 (arXiv 2009.14502).
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from fewbit.analysis import Table, grid
from fewbit.distill import SPEQ, LogitKD
from fewbit.distill.speq import finer_signals, finer_sites
from fewbit.passes import Quantize, compress
from fewbit.plot import Panel, plot_arms, plot_curves
from fewbit.tasks import Task
from fewbit.train import Objective, linear
from studies.evidence.pairs import Rows, of, pairs
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import verdict
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
HELD_BACK = (
    " Probably because so short a retraining is far from fitting its data: a pull towards outputs that are one's own "
    "and unfinished slows it down."
)
CHANCES = (0.0, 0.25, 0.5, 0.75, 1.0)
RECURRENT = ("float", "direct", "plain", "teacher", "SPEQ")


@dataclass(frozen=True)
class Scale:
    """Networks and epochs of a run; `pictures` 0 stands for all."""

    pictures: int
    width: int
    layers: int
    epochs: int
    retrain_epochs: int
    repeats: int
    hidden: int
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
    repeats=2,
    hidden=96,
    recurrent_epochs=8,
    recurrent_retrain_epochs=3,
)
FULL = Scale(
    pictures=0,
    width=64,
    layers=4,
    epochs=60,
    retrain_epochs=60,
    repeats=2,
    hidden=512,
    recurrent_epochs=60,
    recurrent_retrain_epochs=30,
)


def run(setting: Setting) -> Study:
    """Retrain every arm from the same quantized networks for as many updates, and compare."""
    scale = FULL if setting.full else SMALL
    images = _sweep(setting, scale, "perceptron", [(arm, None) for arm in ARMS], scale.repeats)
    chances = _sweep(setting, scale, "perceptron", [("chance", chance) for chance in CHANCES], scale.repeats)
    text = _sweep(setting, scale, "lstm", [(arm, None) for arm in RECURRENT], 1)
    parts, findings = [], []
    for name, rows, unit, digits in (("perceptron", images, "points", 2), ("LSTM", text, "bits", 3)):
        for base, least in (("plain", True), ("teacher", False)):
            pair = pairs((ARMS["SPEQ"], of(rows, arm="SPEQ")), (ARMS[base], of(rows, arm=base)))
            parts.append(pair.better if least else not pair.worse)
            findings.append(f"{name}: {pair.sentence(unit, digits)}.{HELD_BACK if least and pair.worse else ''}")
    for base in ("longer", "fixed", "kl"):
        pair = pairs((ARMS["SPEQ"], of(images, arm="SPEQ")), (ARMS[base], of(images, arm=base)))
        findings.append(f"perceptron: {pair.sentence('points')}.")
    findings.append(ordering(of(images, arm="SPEQ")))
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
        findings=tuple(findings),
        setting=_describe(scale),
        command="python -m studies 08",
        seeds=setting.seeds,
        tables=(*tables, _chances(chances)),
        pictures=tuple(pictures),
    )


def ordering(rows: Rows) -> str:
    """How good the network is as its own teacher: at fine signals everywhere."""
    fine = [row["fine"] for row in rows]
    coarse = [row["test"] for row in rows]
    return (
        f"The perceptron after SPEQ with its signals at 8 bits, as it taught itself: {spread(fine)} % test error "
        f"against {spread(coarse)} % with the signals that it runs with."
    )


def _sweep(
    setting: Setting, scale: Scale, network: str, arms: list[tuple[str, float | None]], repeats: int
) -> list[dict[str, Any]]:
    runs = grid(network=(network,), seed=setting.seeds, repeat=range(repeats))
    return setting.sweep(
        partial(_trial, setting, scale),
        [one | {"arm": arm, "chance": chance} for one in runs for arm, chance in arms],
        "self-distillation",
        f"precision, {network}",
    )


def _trial(
    setting: Setting, scale: Scale, network: str, seed: int, repeat: int, arm: str, chance: float | None
) -> dict[str, Any]:
    task = _task(setting, scale, network)
    model = setting.network(task, seed)
    start = 1000 * repeat + seed
    result = model
    if arm != "float":
        calibration = list(islice(task.batches(seed), 4))
        result = compress(model, Quantize(*_specs(network), calibration=calibration))
    finetune = task.retraining(start)
    if arm == "longer":
        finetune = replace(finetune, epochs=3 * finetune.epochs // 2)
    taught = replace(finetune, objective=_objective(arm, chance, task, model))
    result = result if arm == "direct" else compress(result, taught)
    fine = None
    if arm == "SPEQ":
        with finer_signals(finer_sites(result, 8), 8):
            fine = task.score(result)
    return {"dev": task.measure(result), "test": task.score(result), "fine": fine}


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


def _task(setting: Setting, scale: Scale, network: str) -> Task:
    if network == "lstm":
        return named_task(
            "lstm",
            setting,
            size=scale.hidden,
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
        task = few_images_task(setting, scale.pictures, make=perceptron_task, **settings)
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
    return (
        f"{data}, perceptron of {scale.layers} hidden layers of {scale.width} units, weights int4 (first layer int8), "
        f"hidden signals 2 bits with learned clips, {scale.epochs} epochs in float and {scale.retrain_epochs} of "
        f"retraining, {scale.repeats} retrainings a seed; WikiText-2 characters, LSTM of 2 layers of {scale.hidden} "
        f"units, weights int4, inputs and hidden signals 2 bits, cells float, {scale.recurrent_epochs} and "
        f"{scale.recurrent_retrain_epochs} epochs. The float teacher has the coefficient that falls from 1 to 0 at "
        "T = 2. SPEQ computes one more forward pass an update than plain retraining."
    )
