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
    rows = setting.sweep(
        trial,
        configs,
        name,
        network,
    )
    test = {arm: [row["test"] for row in rows if row["arm"] == arm] for arm in ARMS}
    picture = setting.out / f"{name}.png"
    plot_arms({ARMS[arm]: values for arm, values in test.items()}, "test error (%)", picture, f"{network} on {data}")
    columns = ("network", "signals", "weight bytes", "dev error (%)", "test error (%)")
    return Study(
        number="",
        name=name,
        title=f"{network} with 2-bit weights, all methods at one budget",
        claim="",
        verdict="no claim",
        findings=_findings(test),
        setting=_setting(scale, SUBSET if small else data),
        command=f"python -m studies {name}{' --full' if setting.full else ''}",
        seeds=setting.seeds,
        tables=(Table(data, columns, tuple(_row(arm, rows) for arm in ARMS)),),
        pictures=((picture.name, f"Test error of {network} by method"),),
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


def _row(arm: str, rows: Sequence[dict[str, Any]]) -> tuple[str | int, ...]:
    mine = [row for row in rows if row["arm"] == arm]
    signals = "2 bits" if "signals" in arm or arm == "+ SPEQ" else "float"
    errors = (spread([row[which] for row in mine], 1) for which in ("dev", "test"))
    return (ARMS[arm], signals, int(mine[0]["bytes"]), *errors)


def _findings(test: dict[str, list[float]]) -> tuple[str, ...]:
    def against(arm: str, base: str) -> str:
        gaps = [a - b for a, b in zip(test[arm], test[base], strict=True)]
        better = sum(gap < 0 for gap in gaps)
        seeds = f"better in {better} of {len(gaps)}"
        return f"{ARMS[arm]} against {ARMS[base]}: {spread(gaps, 1)} points of error, {seeds}."

    found = [against(*pair) for pair in PAIRS]
    best = min([arm for arm in ("retrained", "+ KD", "+ SQWA") if arm in test], key=lambda arm: mean(test[arm]))
    found.append(f"The best ternary network with float signals is: {ARMS[best]}.")
    gain = mean(test["float"]) - mean(test["float, retrained"]) if "float, retrained" in test else 0.0
    helped = [arm for arm, base in PAIRS[2:] if arm.startswith("+") and mean(test[arm]) < mean(test[base])]
    if gain > 0 and not helped:
        found.append(
            f"Neither distillation nor averaging nor stochastic precision helps in so short a training: the float "
            f"network still gains {gain:.1f} points by the epochs of retraining, so it is far from fitting its data, "
            "and what keeps a network from fitting them too well costs instead."
        )
    return tuple(found)


def _setting(scale: Scale, data: str) -> str:
    return (
        f"{data}, moved and mirrored; batches of 128, SGD with momentum. {scale.epochs} epochs of float training at "
        f"rate {LR}, then {scale.retrain} of retraining at {RETRAIN_LR} for every row but the direct ones (SQWA: "
        f"{scale.warmup} to warm up, {scale.cycles} cycles of {scale.cycle_epochs}, {scale.finetune} at a low rate). "
        "First and last layer int8, all other weights ternary with adaptive steps; 2-bit signals have learned steps."
    )
