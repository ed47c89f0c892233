"""Training in rounds: in float, then with ternary weights and the float network as the teacher, or in float again.

The float network that is trained on in the same way is the control of the ternary one: both begin with the same
weights and have the same further epochs, batches and teacher, so that they differ by quantizers alone.

A round begins with the full learning rate again (I. Loshchilov, F. Hutter, "SGDR", 2017, arXiv 1608.03983).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from fewbit import passes
from fewbit.errors import DataError
from fewbit.models import SpeechRNN
from fewbit.train import CTC, Objective, cosine, fit

DECAYING = partial(torch.optim.AdamW, weight_decay=1e-2)
"""The optimizer of float training."""
CALIBRATION = 8
"""Batches from which `Quantize` chooses the steps of signals."""
Batches = Callable[[int], "DataLoader[Any]"]
"""The training batches of a round, 0 to begin with."""


def normalized(model: SpeechRNN, loader: "DataLoader[Any]") -> SpeechRNN:
    """The model, with a normalisation that fits 64 examples of the training data."""
    dataset: Any = loader.dataset
    model.get_submodule("norm").fit(torch.cat([dataset[i][0] for i in range(64)]))  # type: ignore[operator]
    return model


def distilled(epochs: int, lr: float, temperature: float) -> passes.Recipe:
    """Direct quantization, then training with the float network as the teacher whose part falls to nothing."""
    distil = {"kind": "LogitKD", "temperature": temperature, "weight": {"from": 1.0, "to": 0.0}}
    retrain = {"epochs": epochs, "lr": lr, "title": "retraining"}
    return passes.Recipe.from_dict(
        {
            "passes": [
                {"kind": "Quantize", "weights": {"head": "int8", "*": "ternary:row"}, "activations": "int8"},
                {"kind": "Finetune", "objective": distil | {"hard": "CTC"}} | retrain,
            ]
        }
    )


def float_rounds(
    build: Callable[["DataLoader[Any]"], SpeechRNN],
    batches: Batches,
    objective: Objective,
    *,
    rounds: int,
    epochs: int,
    lr: float,
    seed: int,
    checkpoint: Path | None = None,
) -> SpeechRNN:
    """A float network, trained in rounds.

    Args:
        build: makes the untrained network from the batches of the first round.
        batches, objective: what is trained on, and what is minimised.
        rounds: 1 or more.
        epochs, lr: of each round.
        seed: of the first round; one more for each of the others.
        checkpoint: file name, to which an ending is added for each round.
    """
    model: SpeechRNN | None = None
    for i in range(rounds):
        loader = batches(i)
        model = model or build(loader)
        fit(
            model,
            loader,
            objective,
            epochs=epochs,
            lr=lr,
            optimizer=DECAYING,
            schedule=cosine(warmup=0.1),
            seed=seed + i,
            checkpoint=checkpoint and checkpoint.with_name(f"{checkpoint.name}.float{i}"),
            title=f"float training {i + 1}/{rounds}",
        )
    if model is None:
        raise DataError(f"rounds must be 1 or more, not {rounds}")
    return model


def ternary_rounds(
    teacher: SpeechRNN,
    batches: Batches,
    how: passes.Recipe,
    *,
    rounds: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> SpeechRNN:
    """The student that learns from the float network: `how` (see `distilled`), with its training in rounds.

    Args:
        teacher: the float network; it stays as it is.
        batches: of a round.
        how: direct quantization, then training.
        rounds: 1 or more.
        seed: of all rounds.
        checkpoint: file name, to which an ending is added for each round.
        progress: whether progress bars are shown.

    Raises:
        DataError: there is no round.
    """
    path = checkpoint and checkpoint.with_name(f"{checkpoint.name}.ternary")
    return _taught(teacher, batches, how, rounds, seed, path, progress)


def control_rounds(
    teacher: SpeechRNN,
    batches: Batches,
    how: passes.Recipe,
    *,
    rounds: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> SpeechRNN:
    """The float network, trained on as `ternary_rounds` trains the ternary one, without quantizers.

    Arguments and errors are those of `ternary_rounds`.
    """
    path = checkpoint and checkpoint.with_name(f"{checkpoint.name}.control")
    return _taught(teacher, batches, how, rounds, seed, path, progress, quantized=False)


def _taught(
    teacher: SpeechRNN,
    batches: Batches,
    how: passes.Recipe,
    rounds: int,
    seed: int,
    checkpoint: Path | None,
    progress: bool,
    quantized: bool = True,
) -> SpeechRNN:
    quantize, finetune = how.steps
    student: nn.Module = teacher
    for i in range(rounds):
        loader = batches(i)
        given: dict[str, Any] = {"batches": loader, "objective": CTC(), "teacher": teacher, "seed": seed}
        given["progress"] = progress
        path = checkpoint and checkpoint.with_name(f"{checkpoint.name}{i}")
        made = passes.Recipe((quantize, finetune) if i == 0 else (finetune,)).passes(**given, checkpoint=path)
        if not quantized:
            made = [_Drawn(loader) if isinstance(one, passes.Quantize) else one for one in made]
        student = passes.compress(student, *made)
    if not isinstance(student, SpeechRNN) or student is teacher:
        raise DataError(f"rounds of retraining must be 1 or more, not {rounds}")
    return student.eval()


@dataclass(frozen=True)
class _Drawn:
    """In place of a quantizer: draws the batches that its calibration draws, so that the next are the same for both."""

    batches: "DataLoader[Any]"

    def __call__(self, model: nn.Module) -> nn.Module:
        for _ in islice(self.batches, CALIBRATION):
            pass
        return model
