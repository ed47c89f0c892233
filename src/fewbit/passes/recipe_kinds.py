"""The kinds of passes, objectives and optimizers that a recipe file can name, and how each is made.

A new kind is one entry in a table here. Its settings, with their checks, are the parameters of its class
(`fewbit.settings.keys_of`); what a file cannot give is filled in by the name of the parameter.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from fewbit.distill import SPEQ, LayerIntervention, LogitKD, TeacherIntervention, TokenScaledKD
from fewbit.errors import DataError
from fewbit.passes.finetune import Finetune
from fewbit.passes.gradual_bits import gradual
from fewbit.passes.learn_heads import LearnHeads
from fewbit.passes.online_finetune import OnlineFinetune
from fewbit.passes.prune import Compact, PruneChannels, PruneHeads, PruneKernels, PruneStrided, PruneUnits
from fewbit.passes.quantize import Quantize
from fewbit.passes.recipe import Pass
from fewbit.passes.sqwa import SQWA
from fewbit.prune import BestOfN, Magnitude, MaskScore, ParticleFilter, RandomMask, Taylor
from fewbit.settings import Keys, keys_of, kinded, number
from fewbit.train import CTC, CrossEntropy, GuidedCTC, Objective, Schedule, SymmetricSGD, constant, cosine, linear

Kinds = Mapping[str, Callable[..., Any]]


def _adamw(parameters: Any, lr: float, weight_decay: Annotated[float, number()] = 0.0) -> Optimizer:
    return AdamW(parameters, lr, weight_decay=weight_decay)


def _sgd(
    parameters: Any,
    lr: float,
    momentum: Annotated[float, number()] = 0.0,
    weight_decay: Annotated[float, number()] = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    return SGD(parameters, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


HARD: Kinds = {"CTC": CTC, "CrossEntropy": CrossEntropy}
"""Objectives that can be mixed with soft labels."""
SOFT: Kinds = {"LogitKD": LogitKD, "TokenScaledKD": TokenScaledKD}
"""Objectives that learn from scores of a teacher."""
OBJECTIVES: Kinds = {
    **HARD,
    "GuidedCTC": GuidedCTC,
    **SOFT,
    "TeacherIntervention": TeacherIntervention,
    "LayerIntervention": LayerIntervention,
    "SPEQ": SPEQ,
}
OPTIMIZERS: Kinds = {"AdamW": _adamw, "SGD": _sgd, "SymmetricSGD": SymmetricSGD}
PASSES: Kinds = {
    "Quantize": Quantize,
    "Finetune": Finetune,
    "gradual": gradual,
    "SQWA": SQWA,
    "OnlineFinetune": OnlineFinetune,
    "LearnHeads": LearnHeads,
    "PruneChannels": PruneChannels,
    "PruneUnits": PruneUnits,
    "PruneHeads": PruneHeads,
    "PruneKernels": PruneKernels,
    "PruneStrided": PruneStrided,
    "Compact": Compact,
}
TRAININGS = tuple(
    name for name, kind in PASSES.items() if {"checkpoint", "finetune"} & inspect.signature(kind).parameters.keys()
)
"""Passes that train, and go on from a checkpoint."""
IMPORTANCES: Kinds = {
    "Magnitude": Magnitude,
    "Taylor": Taylor,
    "RandomMask": RandomMask,
    "BestOfN": BestOfN,
    "ParticleFilter": ParticleFilter,
}


@dataclass(frozen=True)
class Given:
    """What a file cannot hold, for one pass of a recipe; a pass receives those for which it has parameters."""

    batches: Iterable[Any]
    objective: Objective
    teacher: nn.Module | None
    calibration: Iterable[Any]
    score: MaskScore | None
    seed: int
    checkpoint: Path | None
    progress: bool


def _keys(kinds: Kinds, nested: Mapping[str, Any] | None = None) -> dict[str, Keys]:
    return {name: keys_of(kind, nested, skip=("progress",)) for name, kind in kinds.items()}


_HARD_KEYS = {"hard": kinded(_keys(HARD))}
_OBJECTIVE_KEYS = _keys(OBJECTIVES, {**_HARD_KEYS, "soft": kinded(_keys(SOFT, _HARD_KEYS))})
# The pass gives SymmetricSGD its clip and its seed.
_OPTIMIZER_KEYS = _keys(OPTIMIZERS)
_PASS_KEYS = _keys(
    PASSES,
    {
        "objective": kinded(_OBJECTIVE_KEYS),
        "optimizer": kinded(_OPTIMIZER_KEYS),
        "importance": kinded(_keys(IMPORTANCES)),
    },
)
_FINETUNE = _PASS_KEYS["Finetune"]
PASS_KEYS = _PASS_KEYS | {
    name: Keys({**keys.checks, **_FINETUNE.checks}, keys.required + _FINETUNE.required)
    for name, keys in _PASS_KEYS.items()
    if "finetune" in inspect.signature(PASSES[name]).parameters
}
"""The settings of each pass; a pass that takes a Finetune also has the settings of Finetune."""


def make_passes(settings: dict[str, Any], given: Given) -> list[Pass]:
    """The passes of one entry of a recipe; only ``gradual`` is more than one."""
    values = dict(settings)
    kind = PASSES[values.pop("kind")]
    parameters = inspect.signature(kind).parameters
    if "finetune" in parameters:
        inner = {name: values.pop(name) for name in list(values) if name not in parameters}
        values["finetune"] = Finetune(**_arguments(Finetune, inner, given))
    made = kind(**_arguments(kind, values, given))
    return made if isinstance(made, list) else [made]


def _arguments(kind: Callable[..., Any], values: dict[str, Any], given: Given) -> dict[str, Any]:
    """The arguments of a pass: converted settings, and what a file cannot hold."""
    found = {name: _MAKERS[name](value, given) if name in _MAKERS else value for name, value in values.items()}
    for name in inspect.signature(kind).parameters:
        if name in ("batches", "seed", "checkpoint", "progress"):
            found[name] = getattr(given, name)
        elif name == "objective" and name not in found:
            found[name] = given.objective
        elif name == "calibration" and "activations" in found:
            found[name] = given.calibration
        elif name == "example":
            found[name] = next(iter(given.calibration), None)
    return found


def _optimizer(settings: dict[str, Any], given: Given) -> Callable[..., Optimizer]:
    values = dict(settings)
    kind = values.pop("kind")
    return partial(OPTIMIZERS[kind], **values, **({"seed": given.seed} if kind == "SymmetricSGD" else {}))


def _objective(settings: dict[str, Any] | None, given: Given) -> Any:
    if settings is None:
        return given.objective
    values = dict(settings)
    kind = OBJECTIVES[values.pop("kind")]
    parameters = inspect.signature(kind).parameters
    if "weight" in values:
        values["weight"] = _schedule(values["weight"], given)
    if "soft" in values:
        values["soft"] = _objective(values["soft"], given)
    if "hard" in parameters:
        values["hard"] = _objective(values.get("hard"), given)
    if "teacher" in parameters:
        if given.teacher is None:
            raise DataError(f"{kind.__name__} learns from the float network; give it as passes(..., teacher=model)")
        values["teacher"] = given.teacher
    return kind(**values)


def _importance(settings: dict[str, Any], given: Given) -> Any:
    values = dict(settings)
    kind = IMPORTANCES[values.pop("kind")]
    parameters = inspect.signature(kind).parameters
    if "score" in parameters:
        if given.score is None:
            raise DataError(
                f"{kind.__name__} judges masks on development data; give what judges them as passes(..., score=...)"
            )
        values["score"] = given.score
    more = {"batches": given.batches, "objective": given.objective, "seed": given.seed}
    return kind(**values, **{name: value for name, value in more.items() if name in parameters})


def _schedule(value: float | dict[str, Any], _: Given) -> Schedule:
    if isinstance(value, float):
        return constant(value)
    if value.get("shape") == "cosine":
        return cosine(value["from"], value["to"], value.get("warmup", 0.0))
    return linear(value["from"], value["to"])


def _selection(value: str | tuple[tuple[str, str], ...], _: Given) -> str | dict[str, str | None]:
    if isinstance(value, str):
        return value
    return {pattern: None if wanted == "float" else wanted for pattern, wanted in value}


_MAKERS: dict[str, Callable[[Any, Given], Any]] = {
    "importance": _importance,
    "objective": _objective,
    "optimizer": _optimizer,
    "schedule": _schedule,
    "weights": _selection,
    "activations": _selection,
}
"""By name of the setting: what converts its plain value to the argument of a pass."""


def try_optimizer(make: Callable[..., Optimizer] | None) -> None:
    """Make the optimizer of a pass once, so that wrong settings raise their error."""
    if make is not None:
        make([nn.Parameter()], lr=1.0)
