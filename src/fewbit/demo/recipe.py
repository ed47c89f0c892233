"""The recipe of the digit recogniser: front end, sizes, learning rates, epochs; chosen on training speakers only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from fewbit import passes
from fewbit.data import Digits
from fewbit.features import LogMel
from fewbit.lower import pack
from fewbit.models import SpeechRNN
from fewbit.program import Program
from fewbit.train import CTC, CTCBatch, GuidedCTC, cosine, fit

FEATURES = LogMel(mels=40, sample_rate=8_000, window_ms=25, hop_ms=10)
DECAYING = partial(torch.optim.AdamW, weight_decay=1e-2)
HEAD = "int8"
"""The last layer is small and the most sensitive: it gets more bits than the others."""


@dataclass(frozen=True)
class DigitsRecipe:
    """Everything that the digit recogniser depends on besides data and seed.

    Examples:
        >>> DigitsRecipe(hidden=48).retrain_epochs
        32
    """

    hidden: int = 96
    layers: int = 2
    epochs: int = 40
    retrain_epochs: int = 32
    utterances: int = 1200
    batch_size: int = 24
    lr: float = 4e-3
    retrain_lr: float = 2e-3
    temperature: float = 2.0


def batches(digits: Digits, recipe: DigitsRecipe, seed: int) -> "DataLoader[CTCBatch]":
    """Training batches."""
    workers = min(1, (os.cpu_count() or 1) - 1)
    size = {"utterances": recipe.utterances, "batch_size": recipe.batch_size}
    return digits.batches(FEATURES, **size, seed=seed, workers=workers)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: layers this small gain little from two, and lose much when a core is busy elsewhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def guide(progress: float) -> float:
    """Weight of the known alignment: most of the loss at first, nothing after a quarter of the training."""
    return max(0.0, 0.9 * (1 - progress / 0.25))


def new_model(digits: Digits, recipe: DigitsRecipe, loader: "DataLoader[CTCBatch]") -> SpeechRNN:
    """An untrained recogniser whose normalisation fits the training data."""
    model = SpeechRNN(FEATURES.mels, recipe.hidden, recipe.layers, digits.alphabet.classes, kernel=8, stride=4)
    dataset: Any = loader.dataset
    model.get_submodule("norm").fit(torch.cat([dataset[i][0] for i in range(64)]))  # type: ignore[operator]
    return model


def train_float(
    model: SpeechRNN, loader: "DataLoader[CTCBatch]", recipe: DigitsRecipe, seed: int, checkpoint: Any = None
) -> None:
    """Float training with CTC, led by the known alignment at first."""
    fit(
        model,
        loader,
        GuidedCTC(guide),
        epochs=recipe.epochs,
        lr=recipe.lr,
        optimizer=DECAYING,
        schedule=cosine(warmup=0.1),
        seed=seed,
        checkpoint=checkpoint,
        title="float training",
    )


def compression(recipe: DigitsRecipe, weights: str = "ternary", activations: str = "int8") -> passes.Recipe:
    """Direct quantization, then training with the float network as the teacher whose part falls from all to nothing."""
    steps: list[dict[str, Any]] = [
        {"kind": "Quantize", "weights": {"head": HEAD, "*": weights}, "activations": activations}
    ]
    if recipe.retrain_epochs:
        distil = {"kind": "LogitKD", "temperature": recipe.temperature, "weight": {"from": 1.0, "to": 0.0}}
        retrain = {"epochs": recipe.retrain_epochs, "lr": recipe.retrain_lr, "title": "retraining"}
        steps.append({"kind": "Finetune", "objective": distil | {"hard": "CTC"}} | retrain)
    return passes.Recipe.from_dict({"passes": steps})


def run(
    how: passes.Recipe,
    teacher: SpeechRNN,
    loader: "DataLoader[CTCBatch]",
    seed: int,
    checkpoint: str | Path | None = None,
) -> SpeechRNN:
    """The student that the passes of `how` make of the float network."""
    given: dict[str, Any] = {"batches": loader, "objective": CTC(), "teacher": teacher}
    student = passes.compress(teacher, *how.passes(**given, seed=seed, checkpoint=checkpoint))
    assert isinstance(student, SpeechRNN)
    return student.eval()


def to_program(model: SpeechRNN, digits: Digits, recipe: dict[str, object]) -> Program:
    """The Program of a quantized digit recogniser, with all that a stream needs."""
    return pack(model, features=FEATURES, alphabet=digits.alphabet, recipe=recipe)
