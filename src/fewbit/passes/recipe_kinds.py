"""The kinds of passes, objectives and optimizers that a recipe file can name, and how each is made."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from fewbit.distill import SPEQ, LogitKD
from fewbit.errors import DataError
from fewbit.passes.finetune import Finetune
from fewbit.passes.gradual_bits import gradual
from fewbit.passes.quantize import Quantize
from fewbit.passes.recipe import Pass
from fewbit.passes.recipe_checks import (
    Check,
    Keys,
    boolean,
    choice,
    kinded,
    listed,
    number,
    schedule,
    selection,
    spec,
    text,
    whole,
)
from fewbit.passes.sqwa import SQWA
from fewbit.quant import activation_quantizer, weight_quantizer
from fewbit.train import (
    CTC,
    CrossEntropy,
    GuidedCTC,
    HardLoss,
    Objective,
    Schedule,
    SymmetricSGD,
    constant,
    cosine,
    linear,
)

HARD = {"CTC": Keys({}), "CrossEntropy": Keys({"ignore": whole(-(2**63))})}
_MIXED: dict[str, Check] = {"temperature": number(above=True), "hard": kinded(HARD)}
OBJECTIVES = HARD | {
    "GuidedCTC": Keys({"weight": schedule(0, 1)}, ("weight",)),
    "LogitKD": Keys(_MIXED | {"weight": schedule(0, 1)}),
    "SPEQ": Keys(
        _MIXED
        | {
            "weight": schedule(),
            "chance": number(0, 1),
            "bits": whole(2, 8),
            "loss": choice("cosine", "kl"),
            "sites": listed(text, 1),
        }
    ),
}
_DESCENT: dict[str, Check] = {"momentum": number(), "weight_decay": number(), "nesterov": boolean}
_NOISE: dict[str, Check] = {
    "alpha": number(),
    "noise": choice("sign", "sphere", "gauss"),
    "symmetric": boolean,
    "warmup": whole(0),
}
OPTIMIZERS = {
    "AdamW": Keys({"weight_decay": number()}),
    "SGD": Keys(_DESCENT),
    "SymmetricSGD": Keys(_DESCENT | _NOISE),
}
_TRAINING: dict[str, Check] = {
    "lr": number(above=True),
    "objective": kinded(OBJECTIVES),
    "optimizer": kinded(OPTIMIZERS),
    "clip_norm": number(above=True),
}
_FINETUNE: dict[str, Check] = {"epochs": whole(0), **_TRAINING, "schedule": schedule(), "title": text}
PASSES = {
    "Quantize": Keys(
        {
            "weights": selection(weight_quantizer),
            "activations": selection(activation_quantizer),
            "keep": listed(text),
            "replace": boolean,
        }
    ),
    "Finetune": Keys(_FINETUNE, ("epochs",)),
    "gradual": Keys(
        {"specs": listed(spec(weight_quantizer), 1), "shares": listed(number(above=True), 1), "keep": listed(text)}
        | _FINETUNE,
        ("specs", "epochs"),
    ),
    "SQWA": Keys(
        {
            "warmup_epochs": whole(0),
            "cycles": whole(1),
            "cycle_epochs": whole(1),
            "finetune_epochs": whole(0),
            **_TRAINING,
            "high": number(above=True),
            "low": number(0, 1),
            "final_lr_scale": number(above=True),
            "refit": boolean,
            "average": boolean,
        },
        ("warmup_epochs", "finetune_epochs"),
    ),
}


@dataclass(frozen=True)
class Given:
    """What cannot be written in a file, for one pass of a recipe."""

    batches: Iterable[Any]
    objective: Objective
    teacher: nn.Module | None
    calibration: Iterable[Any]
    seed: int
    checkpoint: Path | None
    progress: bool


def make_passes(settings: dict[str, Any], given: Given) -> list[Pass]:
    """The passes of one entry of a recipe; only ``gradual`` is more than one."""
    values = dict(settings)
    match values.pop("kind"):
        case "Quantize":
            values |= {name: _selection(values[name]) for name in ("weights", "activations") if name in values}
            return [Quantize(**values, calibration=given.calibration if "activations" in values else None)]
        case "SQWA":
            return [SQWA(**_training(values, given))]
        case "gradual":
            own = {name: values.pop(name) for name in ("specs", "shares", "keep") if name in values}
            return gradual(finetune=Finetune(**_training(values, given)), **own)
        case _:
            return [Finetune(**_training(values, given))]


def _training(values: dict[str, Any], given: Given) -> dict[str, Any]:
    """The arguments of a pass that trains."""
    made = values | {
        "batches": given.batches,
        "objective": _objective(values.get("objective"), given),
        "seed": given.seed,
        "checkpoint": given.checkpoint,
        "progress": given.progress,
    }
    if "schedule" in values:
        made["schedule"] = _schedule(values["schedule"])
    if "optimizer" in values:
        settings = dict(values["optimizer"])
        kind = settings.pop("kind")
        if kind == "SymmetricSGD":  # the mean of the two gradients is clipped, not each of them
            settings |= {"clip_norm": values.get("clip_norm", Finetune.clip_norm), "seed": given.seed}
            made["clip_norm"] = math.inf
        makers: dict[str, Callable[..., Optimizer]] = {"AdamW": _adam, "SGD": SGD, "SymmetricSGD": SymmetricSGD}
        made["optimizer"] = partial(makers[kind], **settings)
    return made


def _adam(parameters: Any, lr: float, weight_decay: float = 0.0) -> Optimizer:
    return AdamW(parameters, lr, weight_decay=weight_decay)


def _objective(settings: dict[str, Any] | None, given: Given) -> Objective:
    if settings is None:
        return given.objective
    values = dict(settings)
    kind = values.pop("kind")
    if kind == "CTC":
        return CTC()
    if kind == "CrossEntropy":
        return CrossEntropy(**values)
    if "weight" in values:
        values["weight"] = _schedule(values["weight"])
    if kind == "GuidedCTC":
        return GuidedCTC(**values)
    values["hard"] = cast(HardLoss, _objective(values.get("hard"), given))
    if kind == "SPEQ":
        return SPEQ(**values)
    if given.teacher is None:
        raise DataError("LogitKD learns from the float network; give it as passes(..., teacher=model)")
    return LogitKD(given.teacher, **values)


def _schedule(value: float | dict[str, Any]) -> Schedule:
    if isinstance(value, float):
        return constant(value)
    if value.get("shape") == "cosine":
        return cosine(value["from"], value["to"], value.get("warmup", 0.0))
    return linear(value["from"], value["to"])


def _selection(value: str | tuple[tuple[str, str], ...]) -> str | dict[str, str | None]:
    if isinstance(value, str):
        return value
    return {pattern: None if wanted == "float" else wanted for pattern, wanted in value}


def try_optimizer(make: Callable[..., Optimizer] | None) -> None:
    """Make the optimizer of a pass once for nothing, for the errors of its settings."""
    if make is not None:
        make([nn.Parameter()], lr=1.0)
