"""Residual networks with 2-bit weights on pictures: what each method adds, at one budget of training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn
from torch.optim import SGD

from fewbit.analysis import Table, grid, stored_bytes
from fewbit.distill import SPEQ, LogitKD
from fewbit.passes import SQWA, Finetune, Pass, Quantize, compress
from fewbit.plot import plot_arms
from fewbit.tasks import Task
from fewbit.train import Objective, cosine, linear, read_tensors, write_tensors
from studies.evidence.paired_tests import Comparison
from studies.evidence.paired_tests import compare as compare_arms
from studies.evidence.rows import Rows, SealedRows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.tasks.named import named_task

ARMS = {
    "float": "float, as it is quantized",
    "float, retrained": "float, trained on as long as the others",
    "direct": "ternary, direct",
    "retrained": "ternary, retrained",
    "+ KD": "ternary, retrained + KD",
    "+ SQWA": "ternary, retrained + SQWA",
    "direct, 2-bit signals": "ternary, 2-bit signals, direct",
    "retrained, 2-bit signals": "ternary, 2-bit signals, retrained",
    "+ SPEQ": "ternary, 2-bit signals, retrained + SPEQ",
}
"""Rows of the table: what they are called in the sweep, and for people."""
TAUGHT = {"float, retrained + KD": "float, trained on as long as the others, + KD"}
"""What distillation does without quantization, for runs that can afford it."""
PAIRS = (
    ("retrained", "direct"),
    ("retrained", "float, retrained"),
    ("+ KD", "retrained"),
    ("+ SQWA", "retrained"),
    ("retrained, 2-bit signals", "direct, 2-bit signals"),
    ("+ SPEQ", "retrained, 2-bit signals"),
)
"""What is compared with what."""
FLOAT_SIGNALS = ("retrained", "+ KD", "+ SQWA")
"""Ternary networks among which development data choose."""


@dataclass(frozen=True)
class Scale:
    """Epochs of float training, of retraining, and how SQWA divides the latter."""

    epochs: int
    retrain: int
    warmup: int
    cycles: int
    cycle_epochs: int
    finetune: int


SMALL = Scale(epochs=8, retrain=5, warmup=1, cycles=3, cycle_epochs=1, finetune=1)
FULL = Scale(epochs=200, retrain=200, warmup=60, cycles=7, cycle_epochs=15, finetune=35)
WEIGHTS = {"conv": "int8", "head": "int8", "*": "ternary+adaptive"}
SIGNALS = {"conv": None, "head": None, "*": "uint2+learned"}
LR, RETRAIN_LR = 0.1, 0.02
NETWORKS = {
    "resnet20": ("ResNet-20", "CIFAR-10"),
    "cifar100": ("ResNet-20", "CIFAR-100"),
    "imagenet": ("ResNet-18", "ImageNet"),
}
SUBSET = "9,000 training, 1,000 development and 2,000 test pictures of CIFAR-10"


def run(setting: Setting) -> Study:
    """ResNet-20 on CIFAR-10."""
    return compare(setting, "resnet20", FULL if setting.full else SMALL)


def compare(setting: Setting, name: str, scale: Scale) -> Study:
    """Train every arm for every seed and compare; `name` is that of the task."""
    trial = partial(_trial, setting, scale, name)
    network, data = NETWORKS[name]
    small = name == "resnet20" and not setting.full
    configs = grid(seed=setting.seeds, arm=ARMS)
    # The first arms of a seed train the float networks that the others read from the cache.
    runs = setting.sweep(trial, configs, name, network)
    best = SealedRows([row for row in runs.dev if row["arm"] in FLOAT_SIGNALS], network).choose("arm")
    rows = runs.open()
    found = compare_arms(rows, PAIRS, "test", ARMS, unit="points of error", digits=1)
    test = {arm: [row["test"] for row in of(rows, arm=arm)] for arm in ARMS}
    picture = setting.out / f"{name}.png"
    plot_arms({ARMS[arm]: values for arm, values in test.items()}, "test error (%)", picture, f"{network} on {data}")
    columns = ("network", "signals", "weight bytes", "dev error (%)", "test error (%)")
    return Study(
        number="",
        name=name,
        title=f"{network} with 2-bit weights, all methods at one budget",
        claim="",
        verdict="no claim",
        findings=(
            *(f"{one.sentence}." for one in found),
            f"The best ternary network with float signals on development data is: {ARMS[best]}.",
            *_why_not(rows, found),
        ),
        setting=_setting(scale, SUBSET if small else data),
        command=f"python -m studies {name}{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(Table(data, columns, tuple(_row(arm, rows) for arm in ARMS)),),
        pictures=((picture.name, f"Test error of {network} by method"),),
        comparisons=tuple(found),
        rows={name: rows},
    )


def _trial(setting: Setting, scale: Scale, name: str, seed: int, arm: str) -> dict[str, Any]:
    task = replace(named_task(name, setting), epochs=scale.epochs, lr=LR, retrain_epochs=scale.retrain)
    path = setting.cache / "float" / f"{name}-e{task.epochs}-s{seed}.safetensors"
    model = float_network(task, seed, path)
    result = compress(model, *recipe(arm, task, scale, seed, model))
    return {"dev": task.measure(result), "test": task.score(result), "bytes": stored_bytes(result)}


def float_network(task: Task, seed: int, path: Path) -> nn.Module:
    """The float network, trained once and kept in the cache."""
    model: nn.Module = task.new(seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if path.is_file():
        model.load_state_dict(read_tensors(path)[0])
    else:
        sgd = partial(SGD, momentum=0.9, nesterov=True, weight_decay=5e-4)
        task.retraining(seed, epochs=task.epochs, lr=LR, optimizer=sgd, schedule=cosine(warmup=0.1))(model)
        write_tensors(path, model.state_dict(), {})
    return model


def recipe(arm: str, task: Task, scale: Scale, seed: int, teacher: nn.Module) -> Sequence[Pass]:
    """The passes of an arm, from the float network on that teaches, where there is teaching."""
    calibration = [tuple(part.cpu() for part in batch) for batch in islice(task.batches(seed), 2)]
    sgd = partial(SGD, momentum=0.9, nesterov=True)
    objective: Objective = task.objective
    if arm.endswith("+ KD"):
        objective = LogitKD(teacher, temperature=2.0, weight=linear(1.0, 0.0))
    if arm == "+ SPEQ":
        objective = SPEQ()
    plain = Finetune(
        task.batches(seed + 100), objective, scale.retrain, RETRAIN_LR, optimizer=sgd, seed=seed, progress=False
    )
    if "signals" in arm or arm == "+ SPEQ":
        quantize = Quantize(WEIGHTS, SIGNALS, calibration=calibration)
    else:
        quantize = Quantize(WEIGHTS)
    if arm == "float":
        return []
    if arm.startswith("float, retrained"):
        return [plain]
    if arm.startswith("direct"):
        return [quantize]
    if arm == "+ SQWA":
        sqwa = SQWA(
            plain.batches,
            objective,
            scale.warmup,
            scale.finetune,
            scale.cycles,
            scale.cycle_epochs,
            RETRAIN_LR,
            optimizer=sgd,
            seed=seed,
            progress=False,
        )
        return [quantize, sqwa]
    return [quantize, plain]


def _row(arm: str, rows: Rows) -> tuple[str | int, ...]:
    mine = of(rows, arm=arm)
    signals = "2 bits" if "signals" in arm or arm == "+ SPEQ" else "float"
    errors = (spread([row[which] for row in mine], 1) for which in ("dev", "test"))
    return (ARMS[arm], signals, int(mine[0]["bytes"]), *errors)


def _why_not(rows: Rows, found: Sequence[Comparison]) -> tuple[str, ...]:
    """A hypothesis where no method is better than plain retraining, though the float network still learns."""
    extra = {ARMS[arm] for arm, _ in PAIRS if arm.startswith("+")}
    helped = any(one.outcome == "better" for one in found if one.difference.arm in extra)
    plain, longer = ([row["test"] for row in of(rows, arm=arm)] for arm in ("float", "float, retrained"))
    gain = mean(plain) - mean(longer) if plain and longer else 0.0
    if helped or gain <= 0:
        return ()
    return (
        "Neither distillation nor averaging nor stochastic precision is shown to help here. A hypothesis, which no arm "
        f"tests: the training is too short for them, as the float network still gains {gain:.1f} points by the epochs "
        "of retraining.",
    )


def _setting(scale: Scale, data: str) -> str:
    return (
        f"{data}, moved and mirrored; batches of 128, SGD with momentum. {scale.epochs} epochs of float training at "
        f"rate {LR}, then {scale.retrain} of retraining at {RETRAIN_LR} for every row but the direct ones (SQWA: "
        f"{scale.warmup} to warm up, {scale.cycles} cycles of {scale.cycle_epochs}, {scale.finetune} at a low rate). "
        "First and last layer int8, all other weights ternary with adaptive steps; 2-bit signals have learned steps."
    )
