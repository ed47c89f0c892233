"""The recogniser of English letters and words in the package: trained on AN4, ternary, spelling what it hears."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from fewbit import passes
from fewbit.data import An4, Utterance, an4, speech_batches
from fewbit.features import LogMel
from fewbit.models import SpeechRNN
from fewbit.streams import Network, Session
from fewbit.text import cer, wer
from fewbit.train import CTC, cosine, fit

FEATURES = LogMel(mels=64, rate=16_000)


@dataclass(frozen=True)
class EnglishRecipe:
    """Everything that the recogniser depends on besides data and seed.

    epochs: of each round of float training; a round begins with the full rate again (Loshchilov, Hutter 2017).
    """

    hidden: int = 384
    layers: int = 4
    kernel: int = 8
    stride: int = 4
    dropout: float = 0.2
    rounds: int = 2
    epochs: int = 60
    retrain_epochs: int = 30
    examples: int = 480
    batch_size: int = 8
    seconds: float = 6.0
    rate: float = 2e-3
    retrain_rate: float = 1e-3
    temperature: float = 2.0

    def batches(self, speech: An4, seed: int) -> "DataLoader[Any]":
        """Training batches."""
        size = {"examples": self.examples, "batch_size": self.batch_size}
        return speech_batches(speech, FEATURES, **size, seconds=self.seconds, seed=seed, workers=0)

    def model(self, speech: An4, loader: "DataLoader[Any]", seed: int) -> SpeechRNN:
        """An untrained recogniser whose normalisation fits the training data."""
        torch.manual_seed(seed)
        model = SpeechRNN(
            FEATURES.mels,
            self.hidden,
            self.layers,
            speech.alphabet.classes,
            kernel=self.kernel,
            stride=self.stride,
            dropout=self.dropout,
        )
        dataset: Any = loader.dataset
        model.get_submodule("norm").fit(torch.cat([dataset[i][0] for i in range(64)]))  # type: ignore[operator]
        return model

    def compression(self) -> passes.Recipe:
        """Direct quantization, then training with the float network as the teacher whose part falls to nothing."""
        distil = {"kind": "LogitKD", "temperature": self.temperature, "weight": {"from": 1.0, "to": 0.0}}
        retrain = {"epochs": self.retrain_epochs, "rate": self.retrain_rate, "title": "retraining"}
        return passes.Recipe.from_dict(
            {
                "passes": [
                    {"kind": "Quantize", "weights": {"head": "int8", "*": "ternary:row"}, "activations": "int8"},
                    {"kind": "Finetune", "objective": distil | {"hard": "CTC"}} | retrain,
                ]
            }
        )


def train_float(
    folder: str | Path, recipe: EnglishRecipe, seed: int, checkpoint: str | Path | None = None
) -> tuple[SpeechRNN, An4, "DataLoader[Any]"]:
    """The float recogniser, the data, and the batches it was trained on."""
    speech = an4(folder)
    loader = recipe.batches(speech, seed)
    model = recipe.model(speech, loader, seed)
    for i in range(recipe.rounds):
        fit(
            model,
            loader,
            CTC(),
            epochs=recipe.epochs,
            optimizer=torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-2),
            schedule=cosine(warmup=0.1),
            seed=seed + i,
            checkpoint=None if checkpoint is None else Path(checkpoint).with_suffix(f".{i}.checkpoint"),
            title=f"float training {i + 1}/{recipe.rounds}",
        )
    return model, speech, loader


def error_rates(network: Network, utterances: Sequence[Utterance], decoder: Any = None) -> tuple[float, float]:
    """Word and character error rate over utterances, each heard as a stream of its own in chunks of 0.1 s."""
    said, heard = [], []
    for utterance in utterances:
        session = Session(network, decoder)
        events = [event for chunk in _chunks(utterance.samples) for event in session.step(chunk)] + session.finish()
        heard.append(" ".join(event.text.strip() for event in events if hasattr(event, "labels")).strip())
        said.append(utterance.text)
    return wer(said, heard), cer(said, heard)


def about(recipe: EnglishRecipe, model: SpeechRNN, seed: int) -> dict[str, Any]:
    """What the packed file says of how it was made."""
    return {"english": asdict(recipe), "model": model.config, "seed": seed}


def _chunks(samples: Any) -> list[Any]:
    size = FEATURES.rate // 10
    return [np.asarray(samples[i : i + size]) for i in range(0, len(samples), size)]
