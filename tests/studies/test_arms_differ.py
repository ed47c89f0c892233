"""Every arm of a study is what its name says: from one seed and one tiny network, no two arms give the same weights."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from itertools import combinations
from typing import Any
from unittest.mock import patch

import pytest
import torch

from fewbit.data import TensorBatches
from fewbit.passes import compress
from studies.evidence import Setting
from studies.tasks import perceptron_task
from studies.tasks.named import Images, resnet_task

LR = 3e-2  # so high that masters reach the limits of their codes in a few epochs


@dataclass(frozen=True)
class Arms:
    """The arms of a study as arguments of its trial, by what they are called here."""

    module: str
    cells: Callable[[Any], dict[str, dict[str, Any]]]
    scale: dict[str, Any]
    task: dict[str, Any]
    wrap: Callable[[Any, Any], Any] = lambda task, scale: task


def of_arms(module, *left_out):
    return {arm: {"arm": arm} for arm in module.ARMS if arm not in left_out}


def of_perceptrons(module):
    """The adaptive step of a network without recurrent layers is the one with a clip."""
    return of_arms(module, "with clip")


def of_soft_labels(module):
    cells = [("none", 0, "0"), ("own", 2, "0.5"), ("own", 4, "0.5"), ("own", 2, "1.0"), ("wide", 2, "0.5")]
    cells += [("own", 2, module.FALLING), ("wide", 2, module.FALLING)]
    return {f"{teacher} {t} {c}": {"teacher": teacher, "temperature": t, "coefficient": c} for teacher, t, c in cells}


def of_chances(module):
    return of_arms(module) | {f"u = {u:g}": {"arm": "chance", "chance": u} for u in (0.25, 0.75)}


def of_noise(module):
    cells = [("SGD", 0.0, 1), ("SGD", 0.0, 2), *((kind, alpha, 1) for kind in module.KINDS for alpha in (0.2, 0.4))]
    return {f"{kind} {alpha} {times}": {"kind": kind, "alpha": alpha, "times": times} for kind, alpha, times in cells}


def of_averages(module):
    return {arm: {"arm": arm} for arm in ("plain", "average", "sqwa")}


CYCLES = {"size": 6, "epochs": 2, "warmup": 2, "cycles": 3, "cycle": 1, "finish": 1, "lr": LR}
STUDIES = {
    "04": Arms("adaptive_step_size", of_perceptrons, {}, {"retrain_epochs": 8}),
    "05": Arms("logit_distillation", of_soft_labels, {"wide": 9}, {"retrain_epochs": 3}),
    "06": Arms("sqwa", of_averages, {"grid": 3}, {"retrain_epochs": 6}, lambda task, scale: (task, scale.perceptron)),
    "08": Arms("speq", of_chances, {}, {"retrain_epochs": 4, "layers": 3}),
    "09": Arms("symmetric_sgd", of_noise, {"epochs": 3, "lr": 0.05}, {}),
    "28": Arms("sparse_ternary", of_arms, {}, {"retrain_epochs": 10}),
    "ternary-weights": Arms("ternary_weights", of_arms, {}, {"retrain_epochs": 3}),
}


@cache
def pictures() -> Images:
    """Three classes of tiny pictures."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 1, 4, 4, generator=generator)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.randint(0, 3, (count,), generator=generator)
        return centres[y] + torch.randn(count, 1, 4, 4, generator=generator), y

    return Images(part(96), part(30), part(30), classes=3)


def tiny_task(**settings: Any) -> Any:
    task = perceptron_task(pictures(), **{"size": 6, "epochs": 2, "retrain_lr": LR} | settings)
    return replace(task, batches=partial(TensorBatches, *pictures().train, 16))


def weights(model: torch.nn.Module) -> tuple[bytes, ...]:
    """All floating numbers that the outputs depend on: float weights, masters and steps."""
    return tuple(value.detach().numpy().tobytes() for value in model.state_dict().values() if value.is_floating_point())


def filled(kind: Callable[..., Any], known: dict[str, Any]) -> Any:
    """A call with those of the known arguments that it takes."""
    wanted = inspect.signature(kind).parameters
    return kind(**{name: known[name] for name in wanted if name in known})


def outcome(study: Arms, cell: dict[str, Any], folder: Any) -> tuple[Any, ...]:
    """The weights of all networks that a trial makes of the tiny network."""
    module = import_module(f"studies.methods.{study.module}")
    known: dict[str, Any] = {"pictures": 96, "width": 6, "epochs": 2, "retrain_epochs": 4, "lr": LR} | study.scale
    if hasattr(module, "Cycles"):
        known |= {name: filled(module.Cycles, CYCLES) for name in ("perceptron", "lstm")}
    scale = replace(module.SMALL, **{name: value for name, value in known.items() if hasattr(module.SMALL, name)})
    made = []

    def recorded(model: torch.nn.Module, *passes: Any, **more: Any) -> torch.nn.Module:
        result = compress(model, *passes, **more)
        made.append((weights(model), weights(result)))
        return result

    task = study.wrap(tiny_task(**study.task), scale)
    setting = Setting(folder, folder, progress=False)
    trial = {"setting": setting, "scale": scale, "network": "perceptron", "seed": 0, "lr": LR, "chance": None} | cell
    with patch.object(module, "_task", lambda *_: task), patch.object(module, "compress", recorded):
        measured = filled(module._trial, trial)
    assert all(math.isfinite(measured[part]) for part in ("dev", "test"))
    return tuple(made)


@pytest.mark.parametrize("key", STUDIES)
def test_no_two_arms_give_the_same_weights(key, tmp_path):
    study = STUDIES[key]
    cells = study.cells(import_module(f"studies.methods.{study.module}"))
    found = {name: outcome(study, cell, tmp_path) for name, cell in cells.items()}
    assert len(found) > 2
    first = next(iter(cells))
    assert outcome(study, cells[first], tmp_path) == found[first]  # an arm is equal to itself
    assert [pair for pair in combinations(found, 2) if found[pair[0]] == found[pair[1]]] == []


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_no_two_recipes_of_the_residual_network_give_the_same_weights():
    module = import_module("studies.methods.resnet20")
    generator = torch.Generator().manual_seed(0)
    parts = [
        (torch.randn(24, 3, 8, 8, generator=generator), torch.randint(0, 3, (24,), generator=generator))
        for _ in range(3)
    ]
    task = resnet_task(Images(*parts, classes=3), blocks=1, size=0.25)
    task = replace(task, batches=partial(TensorBatches, *parts[0], 12))
    known = {"epochs": 1, "retrain": 4, "warmup": 1, "cycles": 2, "cycle_epochs": 1, "finetune": 1}
    scale = replace(module.SMALL, **{name: value for name, value in known.items() if hasattr(module.SMALL, name)})

    def made(arm: str) -> tuple[bytes, ...]:
        about = {"arm": arm, "task": task, "scale": scale, "seed": 0, "teacher": teacher}
        return weights(compress(start, *filled(module.recipe, about)))

    # ResNets so small run without oneDNN: see tests/studies/test_reproduce.py.
    with torch.backends.mkldnn.flags(enabled=False):
        start = task.new(0)
        teacher = task.trained(1, epochs=2)
        arms = [*module.ARMS, *getattr(module, "TAUGHT", {})]
        found = {arm: made(arm) for arm in arms}
        assert made(arms[-1]) == found[arms[-1]]
    assert len(found) > 2
    assert [pair for pair in combinations(found, 2) if found[pair[0]] == found[pair[1]]] == []
